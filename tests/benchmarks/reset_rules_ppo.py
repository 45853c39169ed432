"""The published rule and this library's with PPO, on the first key of Montezuma's Revenge.

    python -m tests.benchmarks.reset_rules_ppo --rules published-32 --seeds 0 1
    python -m tests.benchmarks.reset_rules_ppo

Everything but the rule is that of `examples/montezuma_demo.py`, a window of 32; the number of a
published rule is that of the episodes between two moves. A run ends when half of the last 32
episodes from the game's start succeed, or at the cap. What has run is not run again; the second
command runs the rest and prints the table.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import tyro
from stable_baselines3.common.vec_env import DummyVecEnv

from examples import montezuma_demo as example
from hxwrappers.curriculum import FrontierSettings, StartingPoint, SuccessTracker
from hxwrappers.demos import Demo, shipped
from hxwrappers.sb3.callbacks import CurriculumHistory
from hxwrappers.sb3.training_run import TrainingRun
from tests.benchmarks.page import put
from tests.benchmarks.published_rule import FromStart, PublishedRule

RuleName = Literal["published-32", "published-12", "here"]
ROWS = "rows.json"
HALF, LATEST = 0.5, 32
"""A run ends when this share of so many of the latest episodes from the game's start succeed."""
LOOKS = (40_960, 81_920, 163_840)
"""Steps after which the frontier is told."""


@dataclass(frozen=True)
class Options:
    """What to run."""

    rules: tuple[RuleName, ...] = ("published-32", "published-12", "here")
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 450_000
    folder: Path = Path("runs/reset_rules_ppo")
    page: Path | None = None


class JudgedTracker(SuccessTracker):
    """This library's tracker, which also looks at the episodes from the very start."""

    def __init__(self, demo: Demo, settings: FrontierSettings) -> None:
        super().__init__(demo, settings)
        self.from_start = FromStart(LATEST)

    def report(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        super().report(start, success=success, steps=steps)
        self.from_start.count(start.step, success=success)


class PublishedTracker(JudgedTracker):
    """The same under the published rule; all environments are in this process."""

    def __init__(self, demo: Demo, settings: FrontierSettings) -> None:
        super().__init__(demo, settings)
        assert settings.window is not None
        self._rule = PublishedRule(self.latest[0], settings.window, settings.update_every)

    def draw(self, generator: np.random.Generator, demo: int | None = None) -> StartingPoint:
        return StartingPoint(0, self._rule.draw(generator))

    def report(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        super().report(start, success=success, steps=steps)
        self._rule.count(start.step, success=success)

    @property
    def frontiers(self) -> npt.NDArray[np.int64]:
        return np.array([self._rule.frontier])

    @property
    def success_rates(self) -> npt.NDArray[np.float64]:
        return np.array([self.from_start.rate])


TRACKERS: dict[RuleName, tuple[type[JudgedTracker], int]] = {
    "published-32": (PublishedTracker, 32),
    "published-12": (PublishedTracker, 12),
    "here": (JudgedTracker, FrontierSettings.update_every),
}


def run(options: Options, rule: RuleName, seed: int) -> list[dict[str, float]]:
    """Train, unless it was done before; get the rows of the history.

    A run that was interrupted begins anew: the state of the published rule is in no checkpoint.
    """
    folder = options.folder / f"{rule}-{seed}"
    if not (folder / ROWS).exists():
        settings = example.Options(seed=seed)
        (demo,) = map(shipped, settings.demo)
        kind, every = TRACKERS[rule]
        tracker = kind(demo, FrontierSettings(32, update_every=every))
        make = partial(example.make_env, [demo], tracker, settings)
        training = TrainingRun(
            example.build(settings, DummyVecEnv([make] * settings.num_envs)),
            folder,
            seed,
            settings.checkpoint_every,
            history=CurriculumHistory(tracker),
            stop_when=lambda: tracker.from_start.rate >= HALF,
        )
        history = training.train(options.steps)
        if training.interrupted:
            sys.exit(f"{folder} was interrupted.")
        (folder / ROWS).write_text(json.dumps(history.rows))
    rows: list[dict[str, float]] = json.loads((folder / ROWS).read_text())
    return rows


def main() -> None:
    """Run what is missing, then report."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    table = []
    for rule in options.rules:
        for seed in options.seeds:
            rows = run(options, rule, seed)
            end = rows[-1]
            arrived = end["steps"] < options.steps
            forward = sum(
                after["frontier"] > before["frontier"] for before, after in pairwise(rows)
            )
            at = [next((row for row in rows if row["steps"] >= steps), end) for steps in LOOKS]
            table.append(
                [
                    f"{rule}, seed {seed}",
                    *(f"{row['frontier']:.0f}" for row in at),
                    f"{forward}",
                    f"{end['steps']:,.0f}" if arrived else f"not in {end['steps']:,.0f}",
                    f"{end['episodes']:,.0f}",
                ]
            )
    header = ["", *(f"frontier at {steps:,}" for steps in LOOKS), "moves forward"]
    header += ["steps until half of the episodes from the start succeed", "episodes"]
    put(options.page, "reset_rules_ppo", header, table)


if __name__ == "__main__":
    main()
