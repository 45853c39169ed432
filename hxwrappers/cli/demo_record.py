"""The commands that record demonstrations."""

from __future__ import annotations

import ipaddress
import os
import secrets
import shlex
import socket
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import tyro
from gymnasium.error import DependencyNotInstalled

import hxwrappers.envs  # noqa: F401 - registers the environments of the library
from hxwrappers._utils.modules import import_of_id
from hxwrappers.cli.terminal import OPTIONAL, environment_arguments, progress_bar
from hxwrappers.demos import (
    Demo,
    DemoRecording,
    JournalWriter,
    make_environment,
    recover_demos,
)
from hxwrappers.demos.environment import (
    frame_by_frame,
    frames_per_step,
    import_plugin,
    is_atari,
)
from hxwrappers.demos.film import ALE_SAMPLE_RATE
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.recorder import KeyMap, PlaySession, find_keys, parse_bindings
from hxwrappers.recorder.timeline import distinct_runs

_FRAMES_PER_SECOND = 60.0
_TURNS_PER_SECOND = 8.0
_OTHERWISE = 30.0
_ENDING, _JOURNAL = ".npz", ".journal"


@dataclass(frozen=True)
class RecordingOptions:
    """What shall be played and recorded: the arguments that the commands share.

    Attributes:
        env: The environment's id, for example ALE/MontezumaRevenge-v5; may be left out to continue.
        output: The demonstration to write; a name with the date unless given.
        continue_: Go on from this demonstration.
        at: The step to go on from; the end unless given.
        keys: Keys by action, as keys=action, for example left=1 left+space=5; those of the
            environment unless given.
        idle: The action while no key is held (with --keys); without one a step waits for a key.
        fps: Steps per second; 60 for Atari games frame by frame.
        seed: Seed of the environment's reset.
        env_args: Arguments for gymnasium.make, as name=value; an Atari game is played frame by
            frame and without sticky actions unless it has others here.
        snapshot_every: Steps between two snapshots of the demonstration.
    """

    env: Annotated[str | None, OPTIONAL, tyro.conf.Positional] = None
    output: Annotated[
        Path | None, tyro.conf.arg(aliases=["-o"], help_behavior_hint="(optional)")
    ] = None
    continue_: Annotated[
        Path | None, tyro.conf.arg(name="continue", help_behavior_hint="(optional)")
    ] = None
    at: Annotated[int | None, OPTIONAL] = None
    keys: Annotated[tuple[str, ...], OPTIONAL] = ()
    idle: Annotated[int | None, OPTIONAL] = None
    fps: Annotated[float | None, OPTIONAL] = None
    seed: int = 0
    env_args: Annotated[tuple[str, ...], OPTIONAL] = ()
    snapshot_every: int = 50


@dataclass
class RecordingSession:
    """A game that is played and recorded.

    Attributes:
        env_id: The environment's id.
        out: The demonstration to write.
        keys: The keys.
        recording: What records.
        runs: The runs that were recorded before; the last one is gone on with.
        session: What is played, once it has begun.
    """

    env_id: str
    out: Path
    keys: KeyMap
    recording: DemoRecording
    runs: Sequence[Demo]
    wish: RecordingOptions
    session: PlaySession | None = None

    def begin(self, **options: Any) -> PlaySession:
        """Begin to play.

        Args:
            **options: For `PlaySession`.
        """
        speed = self.wish.fps
        if speed is None:
            speed = _speed(self.recording.env, self.env_id, self.keys)
        session = PlaySession(
            self.recording, self.keys, self.out, steps_per_second=speed, **options
        )
        if self.runs:
            session.resume(self.runs[-1], self.wish.at)
            print(f"going on at step {session.timeline.length} of what was recorded before")
        else:
            session.reset(self.wish.seed)
        self.session = session
        return session

    def report(self) -> tuple[bool, str]:
        """Verify what was saved; see `announce`.

        Returns:
            Whether all is well, and a sentence about it.
        """
        recording, out = self.recording, self.out
        if not recording.saved:
            kept = f"; {out} is as it was saved before" if out.exists() else ""
            return True, f"nothing was saved{kept}"
        demo = recording.demo()
        with progress_bar("step", len(demo)) as progress:
            check = demo.player(recording.env).verify(progress)
        said = f"{out}: {len(demo)} steps, score {demo.score:g}"
        if not check.ok:
            return False, f"{said}, but its replay differs at {check.first_difference}"
        return True, f"{said}, verified"

    @property
    def is_kept(self) -> bool:
        """Whether the journal holds something that is saved nowhere and not thrown away."""
        if self.session is None or self.is_done_with:
            return False
        return self.session.timeline.length > 0

    @property
    def is_done_with(self) -> bool:
        """Whether what the journal holds was saved or thrown away."""
        return self.session is not None and (self.recording.saved or self.session.discarded)


def announce(report: tuple[bool, str]) -> int:
    """Print what `RecordingSession.report` says, and give the exit code for it."""
    is_well, said = report
    print(said if is_well else f"hxw: {said}", file=sys.stdout if is_well else sys.stderr)
    return 0 if is_well else 1


@contextmanager
def run_recording(wish: RecordingOptions, tool: str) -> Iterator[RecordingSession]:
    """Make the game and its journal; at the end the journal is deleted unless it is needed.

    A journal that was left by a crash is gone on with.

    Args:
        wish: What shall be played.
        tool: The command, for the demonstration's metadata.

    Raises:
        HxWrappersError: It cannot be played as wished.
    """
    demo = None if wish.continue_ is None else Demo.load(wish.continue_)
    env = wish.env
    out = wish.output or _new_file(_which(env, demo))
    journal = out.with_suffix(_JOURNAL)
    if journal == out:
        raise InvalidArgumentError(
            f"{out} is the name of a journal, which is deleted once all is saved. Name the "
            f"demonstration {out.with_suffix(_ENDING)}; a journal of that name is gone on with."
        )
    # A process that was killed at its start leaves an empty one.
    was_left = journal.exists() and journal.stat().st_size > 0
    if out.exists() and not was_left:
        raise DemoError(
            f"{out} exists already. Give another name, or go on from it: --continue {out}."
        )
    game: gym.Env[Any, Any] | None = None
    sitting: RecordingSession | None = None
    writer = JournalWriter(journal)
    try:
        left = recover_demos(journal) if was_left else []
        was_left = bool(left)
        runs = left or ([] if demo is None else [demo])
        last = runs[-1] if runs else None
        env_id = _which(env, last)
        game = _make(env_id, wish.env_args, last)
        keys = KeyMap(parse_bindings(wish.keys), wish.idle) if wish.keys else find_keys(game)
        made_by = {"tool": tool, "command": shlex.join(["hxw", *sys.argv[1:]])}
        recording = DemoRecording(
            game, snapshot_every=wish.snapshot_every, made_by=made_by, journal=writer
        )
        sitting = RecordingSession(env_id, out, keys, recording, runs, wish)
        yield sitting
    finally:
        if sitting is not None and sitting.is_done_with:
            writer.discard()
        elif was_left or (sitting is not None and sitting.is_kept):
            writer.close()
            part = "" if writer.is_whole else ", as far as there was room for it"
            print(f"hxw: what was recorded is kept in {journal}{part}", file=sys.stderr)
        else:
            writer.discard()
        if game is not None:
            game.close()


def _which(env_id: str | None, demo: Demo | None) -> str:
    recorded = None if demo is None else str(demo.metadata.env.get("id"))
    if env_id is not None and recorded is not None and env_id.rpartition(":")[2] != recorded:
        raise DemoError(f"The demonstration is of {recorded}, not of {env_id}.")
    chosen = env_id or recorded
    if chosen is None:
        raise InvalidArgumentError("Give an environment to play, or --continue with a demo.")
    return chosen


def _make(env_id: str, env_args: tuple[str, ...], demo: Demo | None) -> gym.Env[Any, Any]:
    import_of_id(env_id)
    if demo is not None:
        return make_environment(demo, render_mode="rgb_array", **environment_arguments(env_args))
    import_plugin(env_id)
    arguments = frame_by_frame(env_id, environment_arguments(env_args))
    try:
        return gym.make(env_id, render_mode="rgb_array", **arguments)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"The environment {env_id!r} cannot be made: {error}") from error


def _speed(game: gym.Env[Any, Any], env_id: str, keys: KeyMap) -> float:
    if keys.idle is None:
        return _TURNS_PER_SECOND
    if is_atari(env_id):
        return _FRAMES_PER_SECOND / frames_per_step(game)
    return float(game.metadata.get("render_fps") or _OTHERWISE)


def _new_file(env_id: str) -> Path:
    name = env_id.rpartition(":")[2].rpartition("/")[2]
    left = sorted(Path().glob(f"{name}-????????-??????{_JOURNAL}"))
    if left:
        return left[-1].with_suffix(_ENDING)
    return Path(f"{name}-{time.strftime('%Y%m%d-%H%M%S')}{_ENDING}")


def record(
    wish: Annotated[RecordingOptions, tyro.conf.arg(name="")],
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

        from hxwrappers.recorder.server import RecorderServer  # noqa: PLC0415
    except ImportError as error:
        raise DependencyNotInstalled(
            'Recording in a browser needs websockets and Pillow: pip install "hxwrappers[studio]"'
        ) from error
    from hxwrappers.recorder.control import SessionControl  # noqa: PLC0415 - only needed here
    from hxwrappers.recorder.server import AccessControl  # noqa: PLC0415 - only needed here

    ends: list[tuple[bool, str]] = []
    with run_recording(wish, "hxw demo record") as sitting:
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
        server = RecorderServer(
            SessionControl(session, sitting.keys), AccessControl(token, names), about, finish
        )

        def greet(chosen: int) -> None:
            address = _print_address(host, chosen, token)
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


def _print_address(host: str, port: int, token: str) -> str:
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
