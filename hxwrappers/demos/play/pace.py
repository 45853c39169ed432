"""How many steps are due by the clock, and how many were really taken."""

from __future__ import annotations

from collections import deque

__all__ = ["Pace"]

_MAX_BEHIND = 0.1
_MEASURED_OVER = 1.0
# A clock that was read a hair too early must not cost a step.
_EARLY = 1e-6


class Pace:
    """Steps at a steady rate.

    Steps are due at exact intervals from the first one, so that delays do not add up. Whoever
    falls behind by more than a tenth of a second does not catch up: the game must not run away.

    Example:
        >>> pace = Pace()
        >>> [pace.due(now, 60.0) for now in (10.0, 10.01, 10.02, 10.03, 10.05, 11.0)]
        [1, 0, 1, 0, 2, 6]
    """

    def __init__(self) -> None:
        self._next: float | None = None
        self._taken: deque[float] = deque()

    def restart(self, at: float | None = None) -> None:
        """Begin anew.

        Args:
            at: When the first step is due; at once where None.
        """
        self._next = at
        self._taken.clear()

    def due(self, now: float, rate: float) -> int:
        """How many steps are to be taken now; they count as taken.

        Args:
            now: Seconds, by any clock that does not go back.
            rate: Steps per second.
        """
        if self._next is None:
            self._next = now
        if now + _EARLY < self._next:
            return 0
        behind = now + _EARLY - self._next
        most = max(1, round(_MAX_BEHIND * rate))
        count = 1 + int(behind * rate)
        self._next += count / rate
        if count > most:
            count, self._next = most, now + 1 / rate
        self._taken.extend([now] * count)
        return count

    def seconds_to_next(self, now: float) -> float:
        """Seconds until a step is due; 0 where one is."""
        return 0.0 if self._next is None else max(0.0, self._next - now)

    def measured(self, now: float) -> float:
        """Steps per second over the last second; 0 while there are too few to tell."""
        while self._taken and self._taken[0] < now - _MEASURED_OVER:
            self._taken.popleft()
        if len(self._taken) < 2 or self._taken[-1] == self._taken[0]:
            return 0.0
        first = sum(1 for at in self._taken if at == self._taken[0])
        return (len(self._taken) - first) / (self._taken[-1] - self._taken[0])
