"""Searches by novelty and by cells on as many steps, over tasks and seeds, in one table.

    python -m tests.benchmarks.search_table --tasks montezuma venture --steps 1000000 --seeds 0 1 2

One worker each, so that a run is the same every time. Steps are the environment's (of an Atari game
the emulator's frames); seconds are of processor time. What has run is not run again, and what has
not stands in the table as "not measured".
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import tyro

from hxwrappers.search.cells import CellSettings, Limits, Progress, Search, SearchSettings
from hxwrappers.search.explorer import NoveltySearchSettings
from hxwrappers.search.search import NoveltySearch
from tests.benchmarks.page import put

__all__ = ["TASKS", "Task", "far"]

_FAR = 3.0


@dataclass(frozen=True)
class Task:
    """What to search.

    Attributes:
        env_id: The environment.
        knowing: The cells that know the task, beside those of frames.
        arguments: Of `gym.make`.
        reward: A reward in place of the environment's.
        until_end: Whether the episode's own end is the goal, rather than a score.
    """

    env_id: str
    knowing: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    reward: str | None = None
    until_end: bool = False


TASKS = {
    "montezuma": Task("ALE/MontezumaRevenge-v5", "montezuma"),
    "private-eye": Task("ALE/PrivateEye-v5"),
    "pitfall": Task("ALE/Pitfall-v5"),
    "venture": Task("ALE/Venture-v5"),
    "freeway": Task("ALE/Freeway-v5"),
    "climber": Task(
        "hxwrappers.envs:hxwrappers/Procgen-v0",
        None,
        {"game": "climber", "distribution_mode": "hard", "num_levels": 1, "start_level": 3},
    ),
    "minigrid": Task("MiniGrid-KeyCorridorS3R2-v0", "minigrid"),
    "mountain-car": Task("MountainCar-v0", "observation", until_end=True),
    "half-cheetah": Task("HalfCheetah-v5", None, {}, "tests.benchmarks.search_table:far"),
}
KINDS = ("novelty", "frame", "adaptive", "knowing")


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        measure: Whether to run what is missing; otherwise only the table is written.
    """

    tasks: tuple[str, ...] = tuple(TASKS)
    kinds: tuple[str, ...] = KINDS
    steps: int = 1_000_000
    seeds: tuple[int, ...] = (0, 1, 2)
    folder: Path = Path("runs/search_table")
    page: Path | None = None
    measure: bool = True


def far(env: gym.Env[Any, Any], _observation: Any, _reward: float) -> float:
    """Pays once, where the body comes past three metres: a sparse task for MuJoCo's robots."""
    robot: Any = env.unwrapped
    place = float(robot.data.qpos[0])
    before = place - float(robot.dt) * float(robot.data.qvel[0])
    return float(before < _FAR <= place)


def make(task: Task, kind: str, seed: int) -> Search | NoveltySearch | None:
    """The search; None where there is no such for the task."""
    common: dict[str, Any] = {"seed": seed, "reward": task.reward}
    if kind == "novelty":
        return NoveltySearch(NoveltySearchSettings(task.env_id, task.arguments, **common))
    if kind != "knowing":
        cells = CellSettings(kind)
    elif task.knowing is not None:
        cells = CellSettings(task.knowing)
    else:
        return None
    return Search(SearchSettings(task.env_id, task.arguments, cells, **common))


def run(options: Options, name: str, kind: str, seed: int) -> dict[str, Any] | None:
    """What came of one search, from its file or anew; None where it was not measured."""
    path = options.folder / f"{name}-{kind}-{seed}-{options.steps}.json"
    if path.exists():
        document: dict[str, Any] = json.loads(path.read_text())
        return document
    task = TASKS[name]
    search = make(task, kind, seed) if options.measure else None
    if search is None:
        return None
    points: list[tuple[int, float]] = []

    def note(progress: Progress) -> None:
        if not points or progress.score > points[-1][1]:
            points.append((progress.steps, progress.score))

    start = time.process_time()
    progress = search.run(Limits(steps=options.steps, end=task.until_end), note)
    document = {
        "score": progress.score,
        "steps": progress.steps,
        "cells": progress.cells,
        "ended": progress.ended,
        "points": points,
        "seconds": time.process_time() - start,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return document


def _describe(task: Task, found: dict[str, Any] | None) -> str:
    if found is None:
        return "not measured"
    seconds = f"{found['seconds']:,.0f} s"
    if task.until_end:
        return f"end at {found['steps']:,}, {seconds}" if found["ended"] else f"never, {seconds}"
    steps = f", at {found['points'][-1][0]:,}" if found["score"] > 0 else ""
    return f"{found['score']:g}{steps} ({seconds})"


def main() -> None:
    """Run what is missing, then write the table."""
    options = tyro.cli(Options)
    rows = []
    for name in options.tasks:
        task = TASKS[name]
        for kind in options.kinds:
            if kind == "knowing" and task.knowing is None:
                continue
            by = f"cells `{task.knowing}`" if kind == "knowing" else kind
            found = [_describe(task, run(options, name, kind, seed)) for seed in options.seeds]
            rows.append([name, by, *found])
    header = [f"{options.steps:,} steps", "by", *(f"seed {seed}" for seed in options.seeds)]
    put(options.page, "search_table", header, rows)


if __name__ == "__main__":
    main()
