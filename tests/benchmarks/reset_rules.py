"""The frontier's rule against the published one, on learners whose progress is a formula.

    python -m tests.benchmarks.reset_rules

Prints how many episodes bring the frontier from step 1,000 to the start: median and quartiles of
twenty seeds, and how often it moved forward on the way.

The published rule is simulated from what is known of atari-reset: workers whose starting points are
spread over a window, four of five episodes from there and the others from anywhere to the end, a
success rate for each starting point, and, every so many episodes, the first step at which the rates
of the window add up to a fifth of it, or a hundred steps forward again if none is. Window and
episodes between two moves are the same for both, but here only those from the window count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tyro

from tests.demos.learners import Learner, simulate

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
    update_every: int = 32
    workers: int = 16
    episodes: int = 20_000


def published(learner: Learner, options: Options, seed: int) -> npt.NDArray[np.int64]:
    """The frontier after each episode, under the published rule."""
    generator = np.random.default_rng(seed)
    frontier, since = LATEST, 0
    tried, won = np.zeros(LATEST + 1), np.zeros(LATEST + 1)
    frontiers = []
    for episode in range(options.episodes):
        spread = options.window * (episode % options.workers) // options.workers
        own = max(0, frontier - spread)
        step = own
        if generator.random() >= 0.8:
            step = int(generator.integers(own, LATEST + 1))
        success = learner.attempt(step, generator)
        if step == own:
            tried[step] += 1
            won[step] += success
        since += 1
        if since >= options.update_every:
            first = max(0, frontier - options.window + 1)
            steps = np.arange(first, frontier + 1)
            known = steps[tried[steps] > 0]
            # Each worker's rate stands for the steps up to the next worker's.
            rates = won[known] / tried[known]
            share = np.cumsum(rates) / max(len(known), 1)
            if len(known) and share[-1] >= 0.2:
                frontier = int(known[np.argmax(share >= 0.2)])
            else:
                frontier = min(LATEST, frontier + 100)
            tried[:], won[:], since = 0, 0, 0
        frontiers.append(frontier)
    return np.array(frontiers)


def ours(learner: Learner, options: Options, seed: int) -> npt.NDArray[np.int64]:
    """The same under the rule of `SuccessTable`."""
    rules: dict[str, Any] = {"window": options.window, "update_every": options.update_every}
    frontiers: npt.NDArray[np.int64] = simulate(learner, LATEST, options.episodes, seed, **rules)
    return frontiers


def main() -> None:
    options = tyro.cli(Options)
    print(f"{'learner':34}{'rule':12}{'episodes to the start':>34}{'moves forward':>16}")
    for title, make in LEARNERS.items():
        for name, rule in (("published", published), ("here", ours)):
            arrived, forward = [], []
            for seed in range(options.seeds):
                frontiers = rule(make(), options, seed)
                there = np.flatnonzero(frontiers == 0)
                arrived.append(int(there[0]) + 1 if len(there) else np.inf)
                until = frontiers[: int(there[0]) + 1] if len(there) else frontiers
                forward.append(int((np.diff(until) > 0).sum()))
            low, middle, high = np.quantile(arrived, (0.25, 0.5, 0.75), method="nearest")
            said = f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"
            print(f"{title:34}{name:12}{said:>34}{np.median(forward):16.0f}", flush=True)


if __name__ == "__main__":
    main()
