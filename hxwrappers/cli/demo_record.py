"""The command `hxw demo record`."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import sys
import webbrowser
from typing import Annotated

import tyro
from gymnasium.error import DependencyNotInstalled

from hxwrappers.cli.demo_sitting import Wish, announce, sit_down
from hxwrappers.demos.ale_frames import ALE_SAMPLE_RATE
from hxwrappers.demos.play import distinct_runs

__all__ = ["record"]


def record(
    wish: Annotated[Wish, tyro.conf.arg(name="")],
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    allow_host: tuple[str, ...] = (),
    browser: bool = True,
) -> int:
    """Play an environment in a browser and record the play; hold backspace to go back in time.

    Opens a page in the browser of this machine, and prints its address, which has a new token at
    every start. Going back in time forgets nothing: any step can be looked at and played on from.
    Ctrl-C saves and ends. Each step is in a journal beside the demonstration at once; after a crash
    the same command goes on with it.

    Args:
        wish: What is played and recorded.
        host: The address to listen at; only this machine can reach the usual one. 0.0.0.0 lets
            other machines play.
        port: The port; 0 for any that is free.
        allow_host: Names by which pages may call this machine, beside localhost and addresses.
        browser: Open the page here, if this machine has a screen.
    """
    try:
        import PIL.Image  # noqa: F401, PLC0415 - optional, as is what follows

        from hxwrappers.studio.server import Studio  # noqa: PLC0415
    except ImportError as error:
        raise DependencyNotInstalled(
            'Recording in a browser needs websockets and Pillow: pip install "hxwrappers[studio]"'
        ) from error
    from hxwrappers.studio import Desk, Gate  # noqa: PLC0415 - only needed here

    ends: list[tuple[bool, str]] = []
    with sit_down(wish, "hxw demo record") as sitting:
        session = sitting.begin(sound=True)
        timeline = session.timeline
        for run in distinct_runs(sitting.runs)[:-1]:
            timeline.add(run)

        def finish() -> str:
            ends.append(sitting.report())
            return ends[-1][1]

        token = secrets.token_urlsafe(16)
        about = {
            "env": sitting.env_id,
            "file": sitting.out.name,
            "sound": ALE_SAMPLE_RATE if timeline.audible else None,
        }
        names = (*allow_host, *_names_of(host))
        server = Studio(Desk(session, sitting.keys), Gate(token, names), about, finish)

        def greet(chosen: int) -> None:
            address = _greet(host, chosen, token)
            if browser and _has_screen():
                webbrowser.open(address)

        server.run(host, port, greet)
    return announce(ends[-1])


def _names_of(host: str) -> tuple[str, ...]:
    return (host,) if _is_loopback(host) else (host, socket.gethostname(), socket.getfqdn())


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _has_screen() -> bool:
    """Whether a browser would show: without a screen there are only browsers of text."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _greet(host: str, port: int, token: str) -> str:
    inside = _is_loopback(host)
    name = host if inside else socket.gethostname()
    shown = f"[{name}]" if ":" in name else name
    address = f"http://{shown}:{port}/{token}/"
    print(f"open {address} in a browser")
    if inside:
        here = socket.gethostname()
        print(f"from another machine: ssh -L {port}:{shown}:{port} {here}, then the same address")
    else:
        print("hxw: the address and the game go over the network unencrypted", file=sys.stderr)
    print("Ctrl-C saves and ends", flush=True)
    return address
