"""The rule that moves the start of episodes back through a demonstration, and forward again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hxwrappers._ranges import require_count
from hxwrappers.errors import InvalidArgumentError

__all__ = ["FrontierSettings", "draw_start", "next_frontier", "window_of", "window_size"]

_PARTS, _NARROWEST, _WIDEST = 20, 16, 320
_GROUPS = 16
_EVIDENCE = 8
"""The share of `memory` that the start must have been tried for: one of so many."""


@dataclass(frozen=True)
class FrontierSettings:
    """How the frontier, the latest of the starting points that are worked on, moves.

    Salimans & Chen 2018, arXiv 1812.03381, and the code published with it.

    Attributes:
        window: Episodes start at steps spread over this many before the frontier, so that the
            next easier and the next harder starts are learned together. None takes a twentieth of
            the demonstration, from 16 to 320 steps; with 0 it never moves back. Published: 320
            emulator frames, for hundreds of workers.
        threshold: The frontier goes to the earliest step up to which the success rates of the
            window add up to this share of its size. Published: 0.2.
        retreat: Where they do not, it goes forward, as far as the rates of the later steps make up
            for it, but by this many steps at most. Published: by 100 where they nowhere do. With 0
            it never goes forward.
        own_share: The share of the episodes that start in the window; the others start anywhere
            between the frontier and the end, so that what was learned there is kept. Published:
            0.8.
        update_every: So many episodes from the window there must have been since the frontier
            last moved. The published code decides every 1,024 steps of each of its workers.
        memory: About how many of the latest episodes from the window count. The published code
            keeps the last interval of each starting point.

    Raises:
        InvalidArgumentError: A value is out of range.
    """

    window: int | None = None
    threshold: float = 0.2
    retreat: int = 100
    own_share: float = 0.8
    update_every: int = 12
    memory: int = 24

    def __post_init__(self) -> None:
        if self.window is not None:
            require_count("window", self.window, 0)
        for name, smallest in (("retreat", 0), ("update_every", 1), ("memory", 1)):
            require_count(name, getattr(self, name), smallest)
        if not 0 < self.threshold <= 1 or not 0 < self.own_share <= 1:
            raise InvalidArgumentError(
                f"threshold is {self.threshold!r} and own_share {self.own_share!r}; both must be "
                "above 0 and at most 1."
            )


def window_size(latest: int, settings: FrontierSettings) -> int:
    """How many steps the window goes back from the frontier: not more than there are.

    Example:
        >>> [window_size(latest, FrontierSettings()) for latest in (8, 200, 1000, 50_000)]
        [8, 16, 50, 320]
    """
    window = settings.window
    if window is None:
        window = min(max(latest // _PARTS, _NARROWEST), _WIDEST)
    return min(window, latest)


def window_of(frontier: int, latest: int, settings: FrontierSettings) -> tuple[int, int]:
    """The first and the last starting point of the window, both included."""
    return max(0, frontier - window_size(latest, settings)), frontier


def draw_start(
    frontier: int, latest: int, settings: FrontierSettings, generator: np.random.Generator
) -> int:
    """Where an episode begins: in the window, or now and then anywhere behind the frontier.

    Where the window reaches beyond the demonstration's first step, episodes start from that step
    instead: the nearer the frontier, the more of them do.

    Args:
        frontier: Where the frontier is.
        latest: The last starting point there is.
        settings: The rule's numbers.
        generator: The worker's own generator.
    """
    if generator.random() < settings.own_share:
        return max(0, frontier - int(generator.integers(window_size(latest, settings) + 1)))
    return int(generator.integers(frontier, latest + 1))


def next_frontier(
    attempts: npt.NDArray[np.floating],
    successes: npt.NDArray[np.floating],
    frontier: int,
    settings: FrontierSettings,
) -> int:
    """Where the frontier goes, given how episodes have ended.

    Neighbouring starting points of the window are pooled into 16 groups; where nobody has started
    counts as failed. Where the window reaches beyond the demonstration's first step, its size stays
    what it was: the nearer the start, the more of what is left must succeed. The frontier goes to
    the start itself as soon as `threshold` of the episodes from there succeed.

    Args:
        attempts: Episodes by starting point, `(latest + 1,)`; fractions are fine, so that old
            episodes may count less.
        successes: How many of them succeeded, `(latest + 1,)`.
        frontier: Where the frontier is.
        settings: The rule's numbers.

    Returns:
        The new frontier, from 0 to `latest`.

    Example:
        >>> import numpy as np
        >>> rule = FrontierSettings(window=9, retreat=5)
        >>> tries, won = np.ones(100), np.zeros(100)
        >>> won[41:51] = 1  # the whole window succeeds: the first fifth of it is enough
        >>> next_frontier(tries, won, 50, rule)
        42
        >>> won[41:50] = 0  # one start of ten: forward, to where another one makes up for it
        >>> won[53] = 1
        >>> next_frontier(tries, won, 50, rule)
        53
    """
    latest = len(attempts) - 1
    size = window_size(latest, settings) + 1
    evidence = max(float(attempts[0]), settings.memory / _EVIDENCE)
    if frontier < size and successes[0] >= settings.threshold * evidence:
        return 0
    first, _ = window_of(frontier, latest, settings)
    ahead = min(frontier + settings.retreat, latest)
    window, later = slice(first, frontier + 1), slice(frontier + 1, ahead + 1)
    steps = frontier + 1 - first
    groups = [part[0] for part in np.array_split(np.arange(steps), min(_GROUPS, steps))]
    pooled = _rates(
        np.add.reduceat(attempts[window], groups), np.add.reduceat(successes[window], groups)
    )
    rates = np.repeat(pooled, np.diff(groups, append=steps))
    rates = np.concatenate([rates, _rates(attempts[later], successes[later])])
    enough = np.flatnonzero(np.cumsum(rates) >= settings.threshold * size - 1e-9)
    return first + int(enough[0]) if len(enough) else ahead


def _rates(attempts: npt.ArrayLike, successes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    tried = np.asarray(attempts, np.float64)
    rates = np.divide(successes, tried, out=np.zeros_like(tried), where=tried > 0)
    # A worker that was killed between two writes may leave a success without its attempt.
    return np.clip(rates, 0.0, 1.0)
