"""The command `hxw demo studio`."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import sys
from typing import Annotated

import tyro
from gymnasium.error import DependencyNotInstalled

from hxwrappers.cli.demo_sitting import Wish, announce, sit_down
from hxwrappers.demos.ale_frames import ALE_SAMPLE_RATE
from hxwrappers.demos.play import BranchingTimeline, distinct_runs

__all__ = ["studio"]


def studio(
    wish: Annotated[Wish, tyro.conf.arg(name="")],
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    allow_host: tuple[str, ...] = (),
) -> int:
    """Play an environment in a browser, also on another machine, and record the play.

    Prints the address of a page, which has a new token at every start. Going back in time forgets
    nothing: any step can be looked at and played on from. Ctrl-C saves and ends. Each step is in
    a journal beside the demonstration at once; after a crash the same command goes on with it.

    Args:
        wish: What is played and recorded.
        host: The address to listen at; only this machine can reach the usual one.
        port: The port; 0 for any that is free.
        allow_host: Names by which pages may call this machine, beside localhost and addresses.
    """
    try:
        from hxwrappers.studio.server import Studio  # noqa: PLC0415 - optional
    except ImportError as error:
        raise DependencyNotInstalled(
            'Recording in a browser needs websockets: pip install "hxwrappers[studio]"'
        ) from error
    from hxwrappers.studio import CONTROLS, Desk, Gate  # noqa: PLC0415 - only needed here

    ends: list[tuple[bool, str]] = []
    with sit_down(wish, "hxw demo studio") as sitting:
        session = sitting.begin(branching=True, sound=True, controls=CONTROLS)
        timeline = session.timeline
        assert isinstance(timeline, BranchingTimeline)
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
        server.run(host, port, lambda chosen: _greet(host, chosen, token))
    return announce(ends[-1])


def _names_of(host: str) -> tuple[str, ...]:
    return (host,) if _is_loopback(host) else (host, socket.gethostname(), socket.getfqdn())


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _greet(host: str, port: int, token: str) -> None:
    inside = _is_loopback(host)
    name = host if inside else socket.gethostname()
    shown = f"[{name}]" if ":" in name else name
    print(f"open http://{shown}:{port}/{token}/ in a browser")
    if inside:
        here = socket.gethostname()
        print(f"from another machine: ssh -L {port}:{shown}:{port} {here}, then the same address")
    else:
        print("hxw: the address and the game go over the network unencrypted", file=sys.stderr)
    print("Ctrl-C saves and ends", flush=True)
