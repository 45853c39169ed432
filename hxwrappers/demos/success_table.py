"""Attempts and successes by starting point, in memory that several processes may share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hxwrappers.demos.frontier import FrontierSettings, next_frontier, window_of

__all__ = ["Shortcut", "StartingPoint", "SuccessTable"]

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
