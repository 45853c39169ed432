"""The command `hxw demo search`, and the log that it writes."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from hxwrappers._utils.processes import stop_on_signals
from hxwrappers._utils.progress import ProgressBar
from hxwrappers.cli.terminal import (
    Json,
    Output,
    check_option,
    environment_arguments,
    prepare_demo_output,
    prepare_output,
)
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.files.atomic import AppendFile

if TYPE_CHECKING:
    from hxwrappers.search.cells import Progress


_NAME = "progress.csv"
_HEAD = "time/total_timesteps,time/seconds,search/score,search/cells,search/rooms\n"
_EVERY = 1.0


class SearchLog:
    """Appends a row a second, and one whenever the score grows.

    Args:
        file: Where the rows go.
    """

    def __init__(self, file: AppendFile) -> None:
        self._file = file
        self._last: tuple[float, float, int] = (-1.0, float("-inf"), -1)

    def add(self, progress: Progress, *, last: bool = False) -> None:
        """Write how far the search is, if it is time.

        Args:
            progress: How far it is.
            last: Whether nothing comes after it.
        """
        when, score, steps = self._last
        now = time.monotonic()
        due = last or now - when >= _EVERY or progress.score > score
        if not due or progress.steps == steps:
            return
        self._last = (now, progress.score, progress.steps)
        figures = (progress.steps, round(progress.seconds, 2), progress.score)
        row = (*figures, progress.cells, progress.rooms)
        self._file.append((",".join(map(str, row)) + "\n").encode())


@contextmanager
def search_log(folder: Path | None, *, resumed: bool) -> Iterator[SearchLog | None]:
    """The log in a folder; None where none is wanted.

    Args:
        folder: The folder, made if it is not there.
        resumed: Whether the search goes on, and its log with it.
    """
    if folder is None:
        yield None
        return
    path = folder / _NAME
    goes_on = resumed and path.is_file()
    if not goes_on:
        prepare_output(path)
    file = AppendFile(path, path.stat().st_size if goes_on else 0)
    try:
        if not goes_on:
            file.append(_HEAD.encode())
        yield SearchLog(file)
    finally:
        file.close()


_DEFAULT_SECONDS = 300.0
_LEAST = {
    "width": 1,
    "height": 1,
    "depth": 2,
    "bin_x": 1,
    "bin_y": 1,
    "workers": 1,
    "seed": 0,
    "seconds": 1e-3,
    "steps": 1,
    "rooms": 1,
    "room": 1,
    "hold": 1,
    "explore": 1,
    "doomed": 0,
    "snapshot_every": 1,
    "population": 2,
    "siblings": 1,
    "novelty": 0,
    "memory": 1,
    "shorten": 0,
}
"""The smallest values of options."""


def search(
    env: Annotated[str, tyro.conf.Positional],
    /,
    *,
    output: Output,
    by: Literal["cells", "novelty"] = "cells",
    cells: str = "frame",
    width: int = 11,
    height: int = 8,
    depth: int = 8,
    bin_x: int = 8,
    bin_y: int = 8,
    population: int | None = None,
    siblings: int | None = None,
    novelty: float | None = None,
    workers: int = 1,
    seed: int = 0,
    seconds: float | None = None,
    steps: int | None = None,
    score: float | None = None,
    rooms: int | None = None,
    until: Literal["limit", "end"] = "limit",
    room: int | None = None,
    reward: str | None = None,
    hold: int | None = None,
    explore: int | None = None,
    repeat: float | None = None,
    doomed: int | None = None,
    memory: float | None = None,
    shorten: int = 100_000,
    env_args: tuple[str, ...] = (),
    checkpoint: Path | None = None,
    log: Path | None = None,
    snapshot_every: int = 50,
    as_json: Json = False,
) -> int:
    """Find a demonstration without a demonstrator, by cells or by novelty.

    Without a limit it searches for 5 minutes. Ctrl-C ends it early; what was found is written.

    Args:
        env: The environment's id, for example ALE/MontezumaRevenge-v5.
        output: The demonstration to write: the best score found, in the fewest steps.
        by: What guides it: cells (go-explore's first phase), or novelty, which needs no cells.
        cells: What tells places apart: frame, adaptive (frames whose size follows what is seen),
            observation, montezuma, minigrid, or your own function as module:function, called with
            the environment and the observation.
        width: Columns of the downscaled frame.
        height: Rows of the downscaled frame.
        depth: Levels of grey of the downscaled frame.
        bin_x: Pixels that count as one place, across (montezuma).
        bin_y: Pixels that count as one place, down (montezuma).
        population: States kept at most, by novelty; 4096 unless given.
        siblings: Explorations from each state drawn, by novelty; 6 unless given.
        novelty: Power of a novelty model's error in a state's weight, by novelty; 0 does without.
        workers: Processes that explore; with one the search is the same every time.
        seed: Seed of the search and of the environment's reset.
        seconds: Stop after this time.
        steps: Stop after so many steps of the environment, earlier runs included.
        score: Stop at this score.
        rooms: Stop at so many rooms.
        until: With end, stop at the first way to the episode's own end, and write the best one.
        room: Write the best way into this room: 1 for the room that was found first, and so on.
        reward: A reward of your own to search by, as module:function, called with the environment,
            the observation and the environment's reward after each step.
        hold: Steps for which each action is held; 4 for Atari games frame by frame, otherwise 1.
        explore: Actions of one exploration; 50 by cells, 30 by novelty unless given.
        repeat: The probability with which an action is repeated; 0.9 unless given.
        doomed: How many of the last actions before a lost life lead to nothing that is kept; 10
            unless given.
        memory: Megabytes for the states that are kept, by cells; the least promising are dropped.
        shorten: Steps of the environment to look for a shorter way with the same score before it is
            written.
        env_args: Arguments for gymnasium.make, as name=value; an Atari game is played frame by
            frame unless it has a frameskip here.
        checkpoint: A file to keep the search in, and to go on from if it exists; hxw plot draws its
            tree.
        log: A folder for a log of score and cells, which hxw plot draws.
        snapshot_every: Steps between two snapshots of the demonstration.
        as_json: Print one JSON document instead.
    """
    # Not for --help alone: they take a second.
    import hxwrappers.envs  # noqa: F401, PLC0415 - registers the environments of the library
    from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings, standstill  # noqa: PLC0415
    from hxwrappers.search.explorer import NoveltySearchSettings  # noqa: PLC0415
    from hxwrappers.search.search import NoveltySearch  # noqa: PLC0415

    _check_ranges(locals())
    prepare_demo_output(output)
    given = {
        "seed": seed,
        "hold": hold,
        "explore": explore,
        "repeat": repeat,
        "doomed": doomed,
        "reward": reward,
    }
    by_novelty = {"population": population, "siblings": siblings, "novelty": novelty}
    only_by_cells = {"rooms": rooms, "room": room, "memory": memory}
    _refuse(by, only_by_cells if by == "novelty" else by_novelty)
    arguments = environment_arguments(env_args)
    found: Search | NoveltySearch
    if by == "cells":
        kind = CellSettings(cells, width, height, depth, bin_x, bin_y)
        given["memory"] = memory
        settings = SearchSettings(env, arguments, kind, **_set(given))
        found = Search(settings, workers=workers, checkpoint=checkpoint)
    else:
        novel = NoveltySearchSettings(env, arguments, **_set({**given, **by_novelty}))
        found = NoveltySearch(novel, workers=workers, checkpoint=checkpoint)
    if found.progress.steps:
        _say_resumed(checkpoint, found.progress, by)
    end = until == "end"
    if (seconds, steps, score, rooms) == (None, None, None, None):
        seconds = _DEFAULT_SECONDS
    with (
        ProgressBar("step", initial=found.progress.steps) as bar,
        search_log(log, resumed=found.progress.steps > 0) as written,
    ):

        def show(progress: Progress) -> None:
            bar.show(progress.steps, note=_describe(progress, by))
            if written is not None:
                written.add(progress)

        with stop_on_signals(found.stop):
            progress = found.run(Limits(seconds, steps, score, rooms, end), show)
        if written is not None:
            written.add(progress, last=True)
    _say_troubles(progress.workers_lost, standstill(progress, by_cells=by == "cells"))
    if end and not progress.ended:
        raise DemoError(
            f"No way to the episode's own end was found in {progress.steps:,} steps: "
            f"{_describe(progress, by)}. Nothing is written. Search for longer."
        )
    which: dict[str, Any] = {"room": room} if isinstance(found, Search) else {}
    demo = found.demo(
        **which,
        end=end,
        snapshot_every=snapshot_every,
        shorten_steps=shorten,
        made_by={"command": shlex.join(["hxw", *sys.argv[1:]])},
    )
    if not len(demo):
        raise DemoError(
            f"Nothing better than the start was found in {progress.steps:,} steps: "
            f"{_describe(progress, by)}. Nothing is written. Search for longer, over other --cells "
            "or --by novelty; where every step costs something, search --until end or by a "
            "--reward of your own."
        )
    demo.save(output)
    if as_json:
        found_in = {"search_steps": progress.steps, "seconds": progress.seconds}
        places = {"cells": progress.cells, "rooms": progress.rooms}
        facts = {"steps": len(demo), "score": demo.score, **found_in, **places}
        print(json.dumps({"file": str(output), **facts}))
        return 0
    print(
        f"{output}: {len(demo)} steps, score {demo.score:g}, verified; found in {progress.steps:,} "
        f"steps and {progress.seconds:.0f} s: {_describe(progress, by)}"
    )
    return 0


def _say_resumed(checkpoint: Path | None, progress: Progress, by: str) -> None:
    print(
        f"hxw: goes on with the search in {checkpoint}: {progress.steps:,} steps so far, "
        f"{_describe(progress, by)}",
        file=sys.stderr,
    )


def _say_troubles(workers_lost: int, still: str | None) -> None:
    if workers_lost:
        print(f"hxw: {workers_lost} workers died and were replaced", file=sys.stderr)
    if still is not None:
        print(f"hxw: {still}", file=sys.stderr)


def _check_ranges(options: Mapping[str, Any]) -> None:
    for name, least in _LEAST.items():
        if options[name] is not None:
            check_option(f"--{name.replace('_', '-')}", options[name], least)
    if options["repeat"] is not None:
        check_option("--repeat", options["repeat"], 0, 1)


def _set(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _refuse(by: str, others: dict[str, Any]) -> None:
    """Refuse options of the other kind of search.

    Raises:
        InvalidArgumentError: One was given.
    """
    for name in _set(others):
        raise InvalidArgumentError(
            f"--{name} has no meaning in a search by {by}. Leave it out, or search "
            f"--by {'cells' if by == 'novelty' else 'novelty'}."
        )


def _describe(progress: Progress, by: str) -> str:
    rooms = f", {progress.rooms} rooms" if progress.rooms else ""
    kept = "cells" if by == "cells" else "states"
    ended = ", the end" if progress.ended else ""
    return f"best score {progress.score:g}, {progress.cells:,} {kept}{rooms}{ended}"
