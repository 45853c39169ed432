"""The command `hxw demo record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from hxwrappers.cli.demo_sitting import Wish, announce, sit_down
from hxwrappers.cli.play_window import PlayWindow

__all__ = ["record"]


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
    Each step is in a journal beside the demonstration at once; after a crash the same command goes
    on with it.

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
    wish = Wish(env, out, continue_, at, keys, idle, fps, seed, env_args, snapshot_every)
    with sit_down(wish, "hxw demo record") as sitting:
        session = sitting.begin()
        PlayWindow(session, f"{sitting.env_id} - hxw demo record", scale).run()
        return announce(sitting.report())
