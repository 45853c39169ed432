"""Statistics of returns with intervals: mean, median, interquartile mean, best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.generators import own_generator

Values = npt.NDArray[np.float64]
Statistic = Callable[[Values], Values]

_BLOCK = 4_000_000  # numbers resampled at a time


@dataclass(frozen=True)
class Estimate:
    """A statistic of a sample, and the bounds between which that of the population may lie.

    Attributes:
        value: The statistic of the sample.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """What a sample of returns comes to.

    Attributes:
        count: How many there are.
        mean: Their mean.
        median: Their median.
        interquartile_mean: The mean of their middle half.
        best: The highest.
    """

    count: int
    mean: Estimate
    median: Estimate
    interquartile_mean: Estimate
    best: float


def interquartile_mean(values: npt.ArrayLike) -> Values:
    """The mean of the middle half, over the last axis.

    A quarter of the values, rounded down, is left out at either end, so that a few lucky or
    unlucky episodes do not decide. Recommended for comparing agents by Agarwal et al. 2021, "Deep
    Reinforcement Learning at the Edge of the Statistical Precipice", arXiv 2108.13264, section 4.3.

    Args:
        values: Of shape `(..., n)`, `n` at least 1.

    Returns:
        Of shape `(...)`.

    Example:
        >>> float(interquartile_mean([0, 1, 2, 3, 100]))
        2.0
    """
    array = np.sort(_checked(values), axis=-1)
    cut = array.shape[-1] // 4
    middle: Values = array[..., cut : array.shape[-1] - cut].mean(axis=-1)
    return middle


def bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Statistic,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a statistic (Efron & Tibshirani 1993, section 13.3).

    The sample is drawn from with replacement, as many values as it has, many times over; the
    interval holds the middle `confidence` of the statistics of these. The generator is one of its
    own, so that the same sample gives the same interval. A sample of one value gives an interval
    of no width, which says nothing of the spread.

    Args:
        values: The sample, `(n,)`.
        statistic: Takes `(samples, n)` and returns `(samples,)`.
        confidence: Above 0 and below 1.
        resamples: How many times to draw.
        seed: Seed of the draws.

    Raises:
        InvalidArgumentError: The sample is empty or not finite, or an argument is out of range.

    Example:
        >>> import numpy as np
        >>> bootstrap_interval([3, 3, 3], lambda sample: sample.mean(axis=-1))
        (3.0, 3.0)
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise InvalidArgumentError(
            f"confidence is {confidence} and resamples is {resamples}; confidence must lie between "
            "0 and 1, and resamples must be at least 1."
        )
    sample = _checked(values)
    if sample.ndim != 1:
        raise InvalidArgumentError(f"The sample has shape {sample.shape}; give one axis of values.")
    generator = own_generator(seed, "bootstrap_interval")
    rows = max(1, _BLOCK // sample.size)
    found = []
    for start in range(0, resamples, rows):
        size = (min(rows, resamples - start), sample.size)
        found.append(statistic(sample[generator.integers(sample.size, size=size)]))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(found), [tail, 1 - tail]).tolist()
    return low, high


def summarize(
    values: npt.ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Summary:
    """Mean, median and interquartile mean with bootstrap intervals, and the best.

    Args:
        values: The sample, `(n,)`.
        confidence: See `bootstrap_interval`.
        resamples: See `bootstrap_interval`.
        seed: See `bootstrap_interval`.

    Raises:
        InvalidArgumentError: As in `bootstrap_interval`.

    Example:
        >>> summary = summarize([0, 0, 100, 400])
        >>> summary.mean.value, summary.median.value, summary.best
        (125.0, 50.0, 400.0)
    """

    def estimate(statistic: Statistic) -> Estimate:
        interval = bootstrap_interval(
            sample, statistic, confidence=confidence, resamples=resamples, seed=seed
        )
        return Estimate(float(statistic(sample)), *interval)

    sample = _checked(values)
    return Summary(
        count=sample.size,
        mean=estimate(lambda drawn: np.mean(drawn, axis=-1)),
        median=estimate(lambda drawn: np.median(drawn, axis=-1)),
        interquartile_mean=estimate(interquartile_mean),
        best=float(sample.max()),
    )


def _checked(values: npt.ArrayLike) -> Values:
    array = np.asarray(values, np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise InvalidArgumentError("A sample must hold at least one value, and only finite ones.")
    return array
