"""atari-reset's rule for the start of episodes, from its source and in numbers of its own.

github.com/openai/atari-reset (0c1b112), `ReplayResetEnv` and `ResetManager`: each worker has a
starting point of its own, on consecutive steps up to the largest; four of five episodes begin there
and the others anywhere from there to the end. For every starting point the success rate of the last
interval in which an episode began there is kept. At the end of an interval the largest starting
point becomes the first step up to which the rates of all steps, added up, come to a fifth of the
number of starting points, be that back or forward; where they nowhere do, it goes 100 forward.
"""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ["FromStart", "PublishedRule"]

SHARE, RETREAT, OWN = 0.2, 100, 0.8


class PublishedRule:
    """Draws starting points, and moves the largest of them.

    Args:
        latest: The last starting point there is.
        window: Workers' starting points lie on so many steps before the largest, and on it.
        update_every: Episodes in an interval; published are 1,024 steps of every worker.
    """

    def __init__(self, latest: int, window: int, update_every: int) -> None:
        self.latest, self.window, self.update_every = latest, window, update_every
        self.frontier = latest
        self.rates = np.zeros(latest + 1)
        self._tried, self._won = np.zeros(latest + 1), np.zeros(latest + 1)

    def draw(self, generator: np.random.Generator) -> int:
        """Where an episode begins, of a worker drawn by chance."""
        own = max(0, self.frontier - int(generator.integers(self.window + 1)))
        if generator.random() < OWN:
            return own
        return int(generator.integers(own, self.latest + 1))

    def count(self, step: int, *, success: bool) -> None:
        """Count an episode, and move where an interval is over."""
        self._tried[step] += 1
        self._won[step] += success
        if self._tried.sum() < self.update_every:
            return
        seen = self._tried > 0
        self.rates[seen] = self._won[seen] / self._tried[seen]
        self._tried[:] = self._won[:] = 0
        reached = np.flatnonzero(np.cumsum(self.rates) / self.window >= SHARE - 1e-9)
        ahead = min(self.frontier + RETREAT, self.latest)
        self.frontier = int(reached[0]) if len(reached) else ahead


class FromStart:
    """How the latest episodes from the very start have ended: what both rules are judged by."""

    def __init__(self, episodes: int) -> None:
        self._ends: deque[bool] = deque(maxlen=episodes)

    def count(self, step: int, *, success: bool) -> None:
        if step == 0:
            self._ends.append(success)

    @property
    def rate(self) -> float:
        """The share of successes among them; NaN until there have been enough."""
        known = len(self._ends) == self._ends.maxlen
        return sum(self._ends) / len(self._ends) if known else float("nan")
