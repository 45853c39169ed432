"""Measuring things in turns, so that what else a machine does hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.page import spread

__all__ = ["Measuring", "in_turns", "ratios", "report"]

_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""Seconds of the clock, and of the processor: the latter are steadier on a shared machine."""

Times = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How to measure a model that scores observations and trains on them.

    Attributes:
        rounds: How often.
        threads: Those of PyTorch.
        num_envs: Observations to score.
        minibatch: Observations to train on.
        page: The page to put the table into.
    """

    rounds: int = 9
    threads: int = 1
    num_envs: int = 128
    minibatch: int = 512
    page: Path | None = None


def in_turns(steps: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Seconds that each takes by each clock, once a round; a round before the first warms up."""
    times: Times = {name: {clock: [] for clock in _CLOCKS} for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            starts = {clock: read() for clock, read in _CLOCKS.items()}
            step()
            if turn > 0:
                for clock, read in _CLOCKS.items():
                    times[name][clock].append(read() - starts[clock])
    return times


def report(times: Times, samples: int, reference: str | None = None) -> None:
    """Print samples a second, medians, and how many times faster than the reference each is."""
    for name, values in times.items():
        print(name)
        for clock, seconds in values.items():
            line = f"    {clock:4} {samples / statistics.median(seconds):9,.0f} samples/s"
            line += f"  ({1e3 * min(seconds):,.1f} to {1e3 * max(seconds):,.1f} ms)"
            if reference is not None:
                ratios = np.divide(times[reference][clock], seconds)
                low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
                line += f"  {middle:.2f} times the reference ({low:.2f} to {high:.2f})"
            print(line)


def ratios(times: Times, samples: int, reference: str) -> list[str]:
    """Cells of a table: the reference's samples a second of processor time, and how many times as
    fast each of the others is."""
    theirs = times[reference]["cpu"]
    faster = [
        spread(np.divide(theirs, seconds["cpu"]), ".2f", " times")
        for name, seconds in times.items()
        if name != reference
    ]
    return [f"{samples / statistics.median(theirs):,.0f}", *faster]
