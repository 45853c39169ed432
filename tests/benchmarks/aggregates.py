"""Interquartile means over runs of several tasks, with intervals: rliable's way.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice", arXiv
2108.13264, section 4: the runs of all tasks are put together, and the bootstrap draws runs within
each task.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

from hxwrappers.runs.statistics import Estimate, interquartile_mean

__all__ = ["aggregate", "aggregate_curves"]

Scores = npt.NDArray[np.float64]


def aggregate(scores: Sequence[Scores], resamples: int = 2000) -> Estimate:
    """The interquartile mean of the scores of all runs, and its interval of 95 %.

    Args:
        scores: For each task the scores of its runs, `(runs,)`.
        resamples: How many times to draw.
    """
    value, low, high = aggregate_curves([np.asarray(each)[:, None] for each in scores], resamples)
    return Estimate(float(value[0]), float(low[0]), float(high[0]))


def aggregate_curves(
    curves: Sequence[Scores], resamples: int = 2000
) -> tuple[Scores, Scores, Scores]:
    """The same at each point of curves: the mean, and the bounds of its interval, `(points,)`.

    Where a task has but one run there is nothing to draw from, and the bounds are NaN.

    Args:
        curves: For each task the curves of its runs, `(runs, points)`.
        resamples: How many times to draw.
    """

    def together(*tasks: Scores, axis: int = -1) -> Scores:
        return interquartile_mean(np.moveaxis(np.concatenate(tasks, axis), axis, -1))

    by_run = [np.asarray(each, np.float64).T for each in curves]
    value = together(*by_run)
    if min(each.shape[-1] for each in by_run) < 2:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    drawn = bootstrap(
        by_run, together, axis=-1, n_resamples=resamples, method="percentile", rng=0
    ).confidence_interval
    return value, drawn.low, drawn.high
