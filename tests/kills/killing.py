"""Killing at random moments, and in the moment of writing.

`python -m tests.kills impala --kills 50` kills one kind of run as often as that.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.equality import require_equal, timeless
from tests.kills.targets import ENDLESS, TARGETS, Saved, Target, check_history, child
from tests.processes import descendants, is_gone, wait_for

PATIENCE = 240.0
LAST_PATIENCE = 3600.0  # for all steps in one go, which may be thousands
PRELOADED = [
    "tests.kills.targets",
    "tests.sb3.test_runs",
    "tests.video.squares",
    "hxwrappers.sb3.example",
    "hxwrappers.cli.train",
    "hxwrappers.envs.atari",
    "hxwrappers.impala.ray_actors",
    "examples.montezuma_demo",
    "examples.montezuma_youtube",
]
"""Imported once, before anything is started and killed."""


class Deaths(NamedTuple):
    """How often it was killed, and what was going on then.

    Attributes:
        kills: All.
        writing: Those of them in the moment of writing: a half-written file was left.
        alone: Those of the main process alone, whose children had to notice it.
        steps: Steps behind the run in the end.
    """

    kills: int
    writing: int
    exclusive_run: int
    steps: int


def kill_again_and_again(name: str, folder: Path, kills: int, seed: int = 0) -> Deaths:
    """Kill a run, see that all it left is whole, and resume it, again and again.

    Raises:
        AssertionError: Something was not as it should be.
    """
    target, moments = TARGETS[name], random.Random(seed)
    run = folder / "run"
    run.mkdir(parents=True)
    before: Saved | None = None
    writing = exclusive_run = 0
    spread = PATIENCE
    for number in range(kills):
        with _started(name, run, ENDLESS) as process:
            began = time.monotonic()
            if number % 2 and target.aims:
                _await_writing(run, process, moments)
            elif number:
                time.sleep(moments.uniform(0.0, spread))
            else:  # once it is known how long it takes to begin, the others are spread over that
                wait_for(
                    "a checkpoint", lambda: [*run.glob(target.begun)] or not process.is_alive()
                )
                spread = 2 * (time.monotonic() - began)
            assert process.is_alive(), _said(folder)
            only_main = moments.random() < 0.3
            _kill(process, only_main=only_main)
        exclusive_run += only_main
        writing += bool(_temporaries(run))
        assert len(_temporaries(run)) <= 1, _temporaries(run)
        before = _compare(before, _look(target, run))
    assert before is not None
    if target.same is not None:
        total = before.steps + target.same
        for place in (run, folder / "straight" / "run"):
            place.mkdir(parents=True, exist_ok=True)
            with _started(name, place, total) as process:
                process.join(LAST_PATIENCE)
                assert process.exitcode == 0, _said(place.parent)
        killed, straight = _look(target, run), _look(target, folder / "straight" / "run")
        assert killed is not None
        assert straight is not None
        _compare(before, killed)
        require_equal(timeless(killed.state), timeless(straight.state))
        if target.log is not None:
            rows = [row["steps"] for row in straight.rows]
            assert _logged(run, target.log) == rows == _logged(folder / "straight/run", target.log)
    elif target.log is not None:
        logged = _logged(run, target.log)
        known = [row["steps"] for row in before.rows]
        assert logged == sorted(set(logged))
        assert logged[: len(known)] == known
    return Deaths(kills, writing, exclusive_run, before.steps)


@contextmanager
def _started(name: str, run: Path, total: int) -> Iterator[Any]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=child, args=(name, run, total))
    process.start()
    try:
        yield process
    finally:
        _kill(process, only_main=False)
        process.join(PATIENCE)


def _kill(process: Any, *, only_main: bool) -> None:
    """Kill it, its children too or left to notice by themselves."""
    family = descendants(process.pid) if process.is_alive() else set()
    if not only_main:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()  # it has no group yet
    process.kill()
    process.join(PATIENCE)
    wait_for("its children's end", lambda: all(map(is_gone, family)))


def _await_writing(run: Path, process: Any, moments: random.Random) -> None:
    """Wait until it writes once more."""
    for _ in range(moments.randint(1, 4)):
        wait_for("a write", lambda: _temporaries(run) or not process.is_alive(), pause=0.0003)
        if moments.random() < 0.5:
            return
        wait_for("its end", lambda: not (_temporaries(run) and process.is_alive()), pause=0.0003)


def _temporaries(run: Path) -> list[str]:
    """What is being written; a lock beside it says that its writer lives."""
    found = [path for path in run.rglob(".*.hxw-*") if path.parent.name[0] != "."]
    return [path.name for path in found if path.suffix != ".lock"]


def _look(target: Target, run: Path) -> Saved | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return target.look(run)


def _compare(before: Saved | None, now: Saved | None) -> Saved | None:
    """What was saved is never lost: the later history begins with the earlier one."""
    if now is not None:
        check_history(now.rows)
    if before is not None:
        assert now is not None
        assert now.steps >= before.steps
        assert now.rows[: len(before.rows)] == before.rows
    return now


def _logged(run: Path, key: str) -> list[float]:
    """The steps at which a figure is in TensorBoard's files."""
    from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415
        EventAccumulator,
    )

    log = EventAccumulator(str(run), size_guidance={"scalars": 0})
    log.Reload()
    return [float(event.step) for event in log.Scalars(key)]


def _said(folder: Path) -> str:
    path = folder / "said.txt"
    return path.read_text()[-3000:] if path.exists() else "it said nothing"
