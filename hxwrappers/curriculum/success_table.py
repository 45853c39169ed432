"""The table of attempts and successes, and the rule that moves the frontier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import require_count
from hxwrappers.errors import InvalidArgumentError

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


_FRONTIER, _SINCE_MOVE, _EPISODES, _SUCCESSES, _SHORTCUT, _HEADER = range(6)
_SHORTCUT_BITS = 32


class StartingPoint(NamedTuple):
    """Where an episode begins.

    Attributes:
        demo: Which demonstration, by its place in the tracker's list.
        step: Which step of it.
    """

    demo: int
    step: int


class Shortcut(NamedTuple):
    """The shortest way that was found to a demonstration's return.

    Attributes:
        start: The starting point from which it was found.
        saved: How many steps fewer than the demonstration it takes from there; 0 if there is none.
    """

    start: int
    saved: int


class SuccessTable:
    """The table of one or several demonstrations, kept in 8-byte words.

    Every change is a store of whole, aligned words, in an order in which a process may be killed
    after any of them: what is lost then is at most the episode that was being counted.

    Args:
        words: Zeros, or the words of an earlier table, `uint64` of length `size(latest)`.
        latest: The last starting point of each demonstration.
        settings: How the frontier moves.

    Example:
        >>> import numpy as np
        >>> settings = FrontierSettings(window=8, update_every=4)
        >>> table = SuccessTable(np.zeros(SuccessTable.size([20]), np.uint64), [20], settings)
        >>> table.start()
        >>> for step in (20, 19, 18, 17):
        ...     table.count(StartingPoint(0, step), success=True)
        >>> table.frontiers.tolist()
        [18]
    """

    def __init__(
        self, words: npt.NDArray[np.uint64], latest: Sequence[int], settings: FrontierSettings
    ) -> None:
        self.words = words
        self.latest = tuple(latest)
        self.settings = settings
        bounds = np.cumsum([0, *(_HEADER + last + 1 for last in latest)])
        self._tables = [words[start:stop] for start, stop in pairwise(bounds.tolist())]

    @staticmethod
    def size(latest: Sequence[int]) -> int:
        """How many words a table needs."""
        return sum(_HEADER + last + 1 for last in latest)

    def start(self) -> None:
        """Put every frontier at the end of its demonstration."""
        self.words[:] = 0
        for table, last in zip(self._tables, self.latest, strict=True):
            table[_FRONTIER] = last

    @property
    def frontiers(self) -> npt.NDArray[np.int64]:
        """The frontier of each demonstration."""
        return self._header(_FRONTIER)

    @property
    def episodes(self) -> npt.NDArray[np.int64]:
        """How many episodes were counted for each demonstration."""
        return self._header(_EPISODES)

    @property
    def successes(self) -> npt.NDArray[np.int64]:
        """How many of them succeeded."""
        return self._header(_SUCCESSES)

    @property
    def since_move(self) -> npt.NDArray[np.int64]:
        """How many episodes from the window there were since each frontier last moved."""
        return self._header(_SINCE_MOVE)

    def rates(self, demo: int) -> npt.NDArray[np.float64]:
        """The success rate of each starting point, NaN where nobody started, `(latest + 1,)`."""
        attempts, successes = self._counts(demo, 0, self.latest[demo])
        rates = np.full(len(attempts), np.nan)
        np.divide(successes, attempts, out=rates, where=attempts > 0)
        return rates.clip(max=1.0)

    def window_rate(self, demo: int) -> float:
        """The success rate of the latest episodes from the window; NaN if there were none."""
        first, last = window_of(int(self.frontiers[demo]), self.latest[demo], self.settings)
        attempts, successes = self._counts(demo, first, last)
        total = float(attempts.sum())
        return min(float(successes.sum()) / total, 1.0) if total > 0 else float("nan")

    def shortcut(self, demo: int) -> Shortcut:
        """The shortest way that was found in a demonstration's place."""
        word = int(self._tables[demo][_SHORTCUT])
        return Shortcut(word >> _SHORTCUT_BITS, word % 2**_SHORTCUT_BITS)

    def count(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        """Count an episode, and move the frontier if that is due.

        Args:
            start: Where it began.
            success: Whether it succeeded.
            steps: How many steps from there its success took, where that is known.
        """
        table = self._tables[start.demo]
        frontier = int(table[_FRONTIER])
        latest = self.latest[start.demo]
        first, last = window_of(frontier, latest, self.settings)
        inside = first <= start.step <= last
        low, high = (first, last) if inside else (start.step, start.step)
        attempts, successes = self._counts(start.demo, low, high)
        keep = 1.0 - 1.0 / self.settings.memory
        attempts, successes = attempts * keep, successes * keep
        attempts[start.step - low] += 1.0
        successes[start.step - low] += float(success)
        self._store(start.demo, low, attempts, successes)
        if success and steps is not None:
            saved = latest + 1 - start.step - steps
            if saved > self.shortcut(start.demo).saved:
                table[_SHORTCUT] = start.step << _SHORTCUT_BITS | saved
        table[_EPISODES] += np.uint64(1)
        table[_SUCCESSES] += np.uint64(success)
        if not inside:
            return
        since = int(table[_SINCE_MOVE]) + 1
        if since >= self.settings.update_every:
            moved = next_frontier(*self._counts(start.demo, 0, latest), frontier, self.settings)
            if moved != frontier:
                table[_FRONTIER] = moved
                since = 0
        table[_SINCE_MOVE] = since

    def _header(self, word: int) -> npt.NDArray[np.int64]:
        return np.array([table[word] for table in self._tables], dtype=np.int64)

    def _counts(
        self, demo: int, first: int, last: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        rows = self._tables[demo][_HEADER + first : _HEADER + last + 1].copy()
        pairs = rows.view(np.float32).reshape(-1, 2).astype(np.float64)
        return pairs[:, 0], pairs[:, 1]

    def _store(
        self,
        demo: int,
        first: int,
        attempts: npt.NDArray[np.float64],
        successes: npt.NDArray[np.float64],
    ) -> None:
        # Both counts of a starting point go into one word, so that they change together.
        pairs = np.stack([attempts, successes], axis=1).astype(np.float32)
        words = pairs.view(np.uint64)[:, 0]
        self._tables[demo][_HEADER + first : _HEADER + first + len(words)] = words
