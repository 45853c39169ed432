"""The rule that moves the start of episodes back through a demonstration, and forward again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hxwrappers._ranges import require_count
from hxwrappers.errors import InvalidArgumentError

__all__ = ["FrontierSettings", "next_frontier", "window_of"]

_GROUPS = 16


@dataclass(frozen=True)
class FrontierSettings:
    """How the frontier, the latest of the starting points that are worked on, moves.

    Salimans & Chen 2018, arXiv 1812.03381, and the code published with it.

    Attributes:
        window: Episodes start at steps spread over this many before the frontier, so that the
            next easier and the next harder starts are learned together. With 0 it never moves
            back. Published: 320 emulator frames.
        threshold: The frontier moves back as soon as this share of the episodes from the window
            succeeds: to the earliest step up to which the successes of the window add up to this
            share of it. Published: 0.2.
        collapse: Below this share of successes the frontier moves forward again. The published
            code takes `threshold` here too, which lets the frontier swing to and fro wherever the
            agent stands still; a lower one keeps it where it is until learning really collapses.
        retreat: By how many steps it then moves forward. The published code goes as far as the
            successes of later starting points make up for it, and 100 where they nowhere do.
        own_share: The share of the episodes that start in the window; the others start anywhere
            between the frontier and the end, so that what was learned there is kept. Published:
            0.8.
        update_every: So many episodes from the window there must have been since the frontier
            last moved. The published code decides every 1,024 steps of each of its workers.
        memory: About how many of the latest episodes from the window count.

    Raises:
        InvalidArgumentError: A value is out of range.
    """

    window: int = 320
    threshold: float = 0.2
    collapse: float = 0.02
    retreat: int = 100
    own_share: float = 0.8
    update_every: int = 64
    memory: int = 256

    def __post_init__(self) -> None:
        for name, smallest in (("window", 0), ("retreat", 0), ("update_every", 1), ("memory", 1)):
            require_count(name, getattr(self, name), smallest)
        if not 0 < self.threshold <= 1 or not 0 < self.own_share <= 1:
            raise InvalidArgumentError(
                f"threshold is {self.threshold!r} and own_share {self.own_share!r}; both must be "
                "above 0 and at most 1."
            )
        if not 0 <= self.collapse <= self.threshold:
            raise InvalidArgumentError(
                f"collapse is {self.collapse!r}; it must lie between 0 and threshold, "
                f"{self.threshold!r}, or the frontier would move to and fro."
            )


def window_of(frontier: int, settings: FrontierSettings) -> tuple[int, int]:
    """The first and the last starting point of the window, both included."""
    return max(0, frontier - settings.window), frontier


def next_frontier(
    attempts: npt.NDArray[np.floating],
    successes: npt.NDArray[np.floating],
    frontier: int,
    latest: int,
    settings: FrontierSettings,
) -> int:
    """Where the frontier goes, given how episodes from its window have ended.

    Neighbouring starting points are pooled into 16 groups; a group from which nobody has started
    counts as failed.

    Args:
        attempts: Episodes by starting point of the window, earliest first, `(n,)`; fractions are
            fine, so that old episodes may count less.
        successes: How many of them succeeded, `(n,)`.
        frontier: Where the frontier is.
        latest: The last starting point there is.
        settings: The rule's numbers.

    Returns:
        The new frontier, from 0 to `latest`.

    Example:
        >>> import numpy as np
        >>> rule = FrontierSettings(window=9)
        >>> tries = np.ones(10)
        >>> next_frontier(tries, tries, 50, 99, rule)  # all succeed: the first fifth is enough
        42
        >>> next_frontier(tries, np.array([0] * 6 + [1] * 4), 50, 99, rule)  # a fifth, at step 48
        48
        >>> next_frontier(tries, np.zeros(10), 50, 99, rule)  # collapse: forward, not past the end
        99
    """
    first, _ = window_of(frontier, settings)
    groups = np.array_split(np.arange(len(attempts)), min(_GROUPS, len(attempts)))
    tried = np.array([attempts[group].sum() for group in groups], dtype=np.float64)
    won = np.array([successes[group].sum() for group in groups], dtype=np.float64)
    # A worker that was killed between two writes may leave a success without its attempt.
    rates = np.clip(np.divide(won, tried, out=np.zeros_like(tried), where=tried > 0), 0.0, 1.0)
    sizes = np.array([len(group) for group in groups])
    share = np.cumsum(rates * sizes) / len(attempts)
    if share[-1] >= settings.threshold - 1e-9:
        group = int(np.argmax(share >= settings.threshold - 1e-9))
        before = share[group - 1] if group else 0.0
        missing = (settings.threshold - before) * len(attempts)
        steps = int(np.ceil(missing / rates[group] - 1e-9))
        return first + int(groups[group][0]) + max(steps, 1) - 1
    if share[-1] < settings.collapse:
        return min(latest, frontier + settings.retreat)
    return frontier
