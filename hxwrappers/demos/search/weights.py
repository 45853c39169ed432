"""How likely each cell is to be the next to explore from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["draw", "visit_weights"]


def visit_weights(visits: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weights that fall with the visits: `1 / sqrt(visits + 1)`.

    The rule of the later go-explore (Ecoffet et al. 2021, Methods), which needs no knowledge of the
    game. A visit is an exploration that begins in the cell or comes through it.

    Args:
        visits: How often each cell was visited.

    Example:
        >>> visit_weights(np.array([0, 3, 99])).tolist()
        [1.0, 0.5, 0.1]
    """
    weights: npt.NDArray[np.float64] = 1.0 / np.sqrt(visits + 1.0)
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
