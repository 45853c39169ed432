"""The frontier's rule against the published one, on learners whose progress is a formula.

    python -m tests.benchmarks.reset_rules

Tells how many episodes there are from step 1,000 until a fifth of the last 32 from the very start
succeed: median and quartiles of twenty seeds, and how often the frontier moved forward on the way.

The published rule is that of `tests.benchmarks.published_rule`. The window is the same for both,
and so are the episodes between two moves in the column "as often"; "as published" decides after ten
episodes of each starting point, about what 1,024 steps are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import tyro

from hxwrappers.curriculum import FrontierSettings, StartingPoint
from hxwrappers.curriculum.success_table import SuccessTable, draw_start
from tests.benchmarks.page import put, spread
from tests.benchmarks.published_rule import FromStart, PublishedRule
from tests.curriculum.learners import Learner

LATEST = 1000
LEARNERS: dict[str, Callable[[], Learner]] = {
    "quick": lambda: Learner(LATEST, speed=0.5, reach=40),
    "slow, succeeds six times in ten": lambda: Learner(LATEST, speed=0.2, reach=20, ceiling=0.6),
    "with a hard passage": lambda: Learner(LATEST, speed=0.5, reach=40, hard=[(480, 520)]),
    "forgetful": lambda: Learner(LATEST, speed=0.5, reach=40, noise=1.0),
    "succeeds three times in ten": lambda: Learner(LATEST, speed=0.3, reach=20, ceiling=0.3),
}


@dataclass(frozen=True)
class Options:
    """How to compare."""

    seeds: int = 20
    window: int = 64
    update_every: int = FrontierSettings.update_every
    episodes: int = 60_000
    page: Path | None = None


class Rule(Protocol):
    """What decides where episodes begin."""

    @property
    def frontier(self) -> int: ...

    def draw(self, generator: np.random.Generator) -> int: ...

    def count(self, step: int, *, success: bool) -> None: ...


class OwnRule:
    """The rule of `SuccessTable`, with the draws of `SuccessTracker`."""

    def __init__(self, window: int, update_every: int) -> None:
        self._rules = FrontierSettings(window=window, update_every=update_every)
        words = np.zeros(SuccessTable.size([LATEST]), np.uint64)
        self._table = SuccessTable(words, [LATEST], self._rules)
        self._table.start()

    @property
    def frontier(self) -> int:
        return int(self._table.frontiers[0])

    def draw(self, generator: np.random.Generator) -> int:
        return draw_start(self.frontier, LATEST, self._rules, generator)

    def count(self, step: int, *, success: bool) -> None:
        self._table.count(StartingPoint(0, step), success=success)


def episodes_to_start(
    rule: Rule, learner: Learner, options: Options, seed: int
) -> tuple[float, int]:
    """Episodes until the learner plays from the start, and moves forward until then."""
    generator = np.random.default_rng(seed)
    from_start = FromStart(32)
    forward = 0
    for episode in range(1, options.episodes + 1):
        step = rule.draw(generator)
        success = learner.attempt(step, generator)
        before = rule.frontier
        rule.count(step, success=success)
        forward += rule.frontier > before
        from_start.count(step, success=success)
        if from_start.rate >= 0.2:
            return episode, forward
    return np.inf, forward


def main() -> None:
    options = tyro.cli(Options)
    often = options.update_every
    rules: dict[str, Callable[[], Rule]] = {
        "published, as often": lambda: PublishedRule(LATEST, options.window, often),
        "as published": lambda: PublishedRule(LATEST, options.window, 10 * (options.window + 1)),
        "here": lambda: OwnRule(options.window, often),
    }
    header = ["learner", *(f"{name}: {what}" for name in rules for what in ("episodes", "forward"))]
    rows = []
    for title, make in LEARNERS.items():
        cells = [title]
        for rule in rules.values():
            runs = [
                episodes_to_start(rule(), make(), options, seed) for seed in range(options.seeds)
            ]
            arrived, forward = zip(*runs, strict=True)
            cells += [spread(arrived, ",.0f"), f"{np.median(forward):.0f}"]
        rows.append(cells)
    put(options.page, "reset_rules", header, rows)


if __name__ == "__main__":
    main()
