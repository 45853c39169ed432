"""The command `hxw demo record`."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import tyro

from hxwrappers.cli.arguments import environment_arguments
from hxwrappers.cli.play_window import PlayWindow
from hxwrappers.cli.progress import progress_bar
from hxwrappers.demos import Demo, DemoRecording, JournalWriter, make_environment
from hxwrappers.demos.environment import frame_by_frame, import_plugin, is_atari
from hxwrappers.demos.play import KeyMap, PlaySession, find_keys, parse_bindings
from hxwrappers.errors import DemoFileError, DemoMismatchError, InvalidArgumentError

__all__ = ["record"]

_FRAMES_PER_SECOND = 60.0
_TURNS_PER_SECOND = 8.0
_OTHERWISE = 30.0
_ENDING = ".npz"


def record(
    env: Annotated[str | None, tyro.conf.Positional] = None,
    out: Annotated[Path | None, tyro.conf.Positional] = None,
    /,
    *,
    continue_: Annotated[Path | None, tyro.conf.arg(name="continue")] = None,
    at: int | None = None,
    keys: tuple[str, ...] = (),
    idle: int | None = None,
    fps: float | None = None,
    scale: int | None = None,
    seed: int = 0,
    env_args: tuple[str, ...] = (),
    snapshot_every: int = 50,
) -> int:
    """Play an environment in a window and record the play; hold backspace to go back in time.

    F1 shows the keys. Escape ends it and asks whether to save; a closed window and Ctrl-C save.
    Each step is in a journal beside the demonstration at once, from which `hxw demo import` brings
    it back if the process is killed.

    Args:
        env: The environment's id, for example ALE/MontezumaRevenge-v5; may be left out to continue.
        out: The demonstration to write; a name with the date unless given.
        continue_: Go on from this demonstration.
        at: The step to go on from; the end unless given.
        keys: Keys by action, as keys=action, for example left=1 left+space=5; those of the
            environment unless given.
        idle: The action while no key is held (with --keys); without one a step waits for a key.
        fps: Steps per second; 60 for Atari games frame by frame.
        scale: Pixels of the window for a pixel of the game.
        seed: Seed of the environment's reset.
        env_args: Arguments for gymnasium.make, as name=value; an Atari game is played frame by
            frame and without sticky actions unless it has others here.
        snapshot_every: Steps between two snapshots of the demonstration.
    """
    demo = None if continue_ is None else Demo.load(continue_)
    if demo is not None and out is None and (env or "").endswith(_ENDING):
        out, env = Path(str(env)), None
    env_id = _which(env, demo)
    out = _new_file(env_id) if out is None else out
    journal = out.with_suffix(".journal")
    _check_free(out, journal)
    game = _make(env_id, env_args, demo)
    mapping = find_keys(game) if not keys else KeyMap(parse_bindings(keys), idle)
    writer = JournalWriter(journal)
    recording = DemoRecording(
        game,
        snapshot_every=snapshot_every,
        made_by={"tool": "hxw demo record", "command": shlex.join(["hxw", *sys.argv[1:]])},
        journal=writer,
    )
    discarded = False
    try:
        speed = _speed(game, env_id, mapping) if fps is None else fps
        session = PlaySession(recording, mapping, out, steps_per_second=speed)
        if demo is None:
            session.reset(seed)
        else:
            session.resume(demo, at)
        PlayWindow(session, f"{env_id} - hxw demo record", scale).run()
        discarded = session.discarded
        return _report(recording, out)
    finally:
        writer.close()
        if discarded or recording.saved or not len(recording):
            journal.unlink()
        else:
            print(f"hxw: what was recorded is kept in {journal}", file=sys.stderr)
        game.close()


def _report(recording: DemoRecording, out: Path) -> int:
    if not recording.saved:
        print("nothing was saved")
        return 0
    demo = recording.demo()
    with progress_bar("step", len(demo)) as progress:
        check = demo.player(recording.env).verify(progress)
    said = f"{out}: {len(demo)} steps, score {demo.score:g}"
    if not check.ok:
        print(f"hxw: {said}, but its replay differs at {check.first_difference}", file=sys.stderr)
        return 1
    print(f"{said}, verified")
    return 0


def _which(env_id: str | None, demo: Demo | None) -> str:
    recorded = None if demo is None else str(demo.metadata.env.get("id"))
    if env_id is not None and recorded is not None and env_id.rpartition(":")[2] != recorded:
        raise DemoMismatchError(f"The demonstration is of {recorded}, not of {env_id}.")
    chosen = env_id or recorded
    if chosen is None:
        raise InvalidArgumentError("Give an environment to play, or --continue with a demo.")
    return chosen


def _make(env_id: str, env_args: tuple[str, ...], demo: Demo | None) -> gym.Env[Any, Any]:
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
        skip = getattr(game.unwrapped, "_frameskip", 1)
        return _FRAMES_PER_SECOND / (skip if isinstance(skip, int) else sum(skip) / 2)
    return float(game.metadata.get("render_fps") or _OTHERWISE)


def _new_file(env_id: str) -> Path:
    name = env_id.rpartition(":")[2].rpartition("/")[2]
    return Path(f"{name}-{time.strftime('%Y%m%d-%H%M%S')}{_ENDING}")


def _check_free(out: Path, journal: Path) -> None:
    if out.exists():
        raise DemoFileError(
            f"{out} exists already. Give another name, or go on from it: --continue {out}."
        )
    if journal.exists():
        raise DemoFileError(
            f"{journal} is the journal of a recording that was not saved. Bring it back with "
            f"`hxw demo import {journal} FOLDER`, or delete it."
        )
