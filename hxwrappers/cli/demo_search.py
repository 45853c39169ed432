"""The command `hxw demo search`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from hxwrappers._files import check_writable
from hxwrappers._signals import stopping_on_signals
from hxwrappers.cli.arguments import Json, environment_arguments
from hxwrappers.demos.search import CellSettings, Limits, Progress, Search, SearchSettings
from hxwrappers.errors import SearchError

__all__ = ["search"]

_DEFAULT_SECONDS = 300.0


def search(
    env: Annotated[str, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    cells: str = "frame",
    width: int = 11,
    height: int = 8,
    depth: int = 8,
    bin_x: int = 8,
    bin_y: int = 8,
    workers: int = 1,
    seed: int = 0,
    seconds: float | None = None,
    steps: int | None = None,
    score: float | None = None,
    rooms: int | None = None,
    room: int | None = None,
    hold: int | None = None,
    explore: int = 50,
    repeat: float = 0.9,
    doomed: int = 10,
    env_args: tuple[str, ...] = (),
    checkpoint: Path | None = None,
    snapshot_every: int = 50,
    as_json: Json = False,
) -> int:
    """Find a demonstration without a demonstrator, by go-explore's first phase.

    Without a limit it searches for 5 minutes. Ctrl-C ends it early; what was found is written.

    Args:
        env: The environment's id, for example ALE/MontezumaRevenge-v5.
        out: The demonstration to write: the best score found, in the fewest steps.
        cells: What tells places apart: frame, observation, montezuma, minigrid, or your own
            function as module:function, called with the environment and the observation.
        width: Columns of the downscaled frame.
        height: Rows of the downscaled frame.
        depth: Levels of grey of the downscaled frame.
        bin_x: Pixels that count as one place, across (montezuma).
        bin_y: Pixels that count as one place, down (montezuma).
        workers: Processes that explore; with one the search is the same every time.
        seed: Seed of the search and of the environment's reset.
        seconds: Stop after this time.
        steps: Stop after so many steps of the environment, earlier runs included.
        score: Stop at this score.
        rooms: Stop at so many rooms.
        room: Write the best way into the so-manieth room that was found, from 1.
        hold: Steps for which each action is held; 4 for Atari games frame by frame, otherwise 1.
        explore: Actions of one exploration.
        repeat: The probability with which an action is repeated.
        doomed: How many of the last actions before a lost life lead to nothing that is kept.
        env_args: Arguments for gymnasium.make, as name=value; an Atari game is played frame by
            frame unless it has a frameskip here.
        checkpoint: A file to keep the search in, and to go on from if it exists.
        snapshot_every: Steps between two snapshots of the demonstration.
        as_json: Print one JSON document instead.
    """
    check_writable(out)
    settings = SearchSettings(
        env,
        environment_arguments(env_args),
        CellSettings(cells, width, height, depth, bin_x, bin_y),
        seed=seed,
        hold=hold,
        explore=explore,
        repeat=repeat,
        doomed=doomed,
    )
    if (seconds, steps, score, rooms) == (None, None, None, None):
        seconds = _DEFAULT_SECONDS
    found = Search(settings, workers=workers, checkpoint=checkpoint)
    with tqdm(unit="step", unit_scale=True, disable=None, leave=False) as bar:
        bar.update(found.progress.steps)

        def show(progress: Progress) -> None:
            bar.update(progress.steps - bar.n)
            bar.set_postfix_str(_in_words(progress), refresh=False)

        with stopping_on_signals(found.stop):
            progress = found.run(Limits(seconds, steps, score, rooms), show)
    if progress.workers_lost:
        print(f"hxw: {progress.workers_lost} workers died and were replaced", file=sys.stderr)
    demo = found.demo(
        room=room,
        snapshot_every=snapshot_every,
        made_by={"command": shlex.join(["hxw", *sys.argv[1:]])},
    )
    if not len(demo):
        raise SearchError(
            f"Nothing better than the start was found in {progress.steps:,} steps: "
            f"{_in_words(progress)}. Nothing is written. Search for longer or over other --cells; "
            "where every step costs something, a search cannot tell what is worth it."
        )
    demo.save(out)
    if as_json:
        found_in = {"search_steps": progress.steps, "seconds": progress.seconds}
        places = {"cells": progress.cells, "rooms": progress.rooms}
        facts = {"steps": len(demo), "score": demo.score, **found_in, **places}
        print(json.dumps({"file": str(out), **facts}))
        return 0
    print(
        f"{out}: {len(demo)} steps, score {demo.score:g}, verified; found in {progress.steps:,} "
        f"steps and {progress.seconds:.0f} s: {_in_words(progress)}"
    )
    return 0


def _in_words(progress: Progress) -> str:
    rooms = f", {progress.rooms} rooms" if progress.rooms else ""
    return f"best score {progress.score:g}, {progress.cells:,} cells{rooms}"
