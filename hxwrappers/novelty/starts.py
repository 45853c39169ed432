"""Starting points chosen by novelty: an archive of frozen states, and ways that were paid for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from hxwrappers._ranges import require_range

__all__ = ["Point", "StartArchive"]

_CANDIDATES = 8
"""Points that are drawn at each choice, of which the most promising one is taken."""


@dataclass(eq=False)
class Point:
    """A state that an episode can start from.

    Attributes:
        snapshot: The frozen environment, which knows its `observation`.
        score: The extrinsic return on the way from the game's own start to here.
        before: The point before it on that way, or None where this is the first one.
        novelty: The bonus of its observation by the present model.
        tries: Episodes that started here.
    """

    snapshot: Any
    score: float = 0.0
    before: Point | None = None
    novelty: float = 0.0
    tries: int = 0

    def way(self) -> list[Point]:
        """All points from the first one to this one."""
        points: list[Point] = []
        point: Point | None = self
        while point is not None:
            points.append(point)
            point = point.before
        return points[::-1]


class StartArchive:
    """Chooses where episodes start: at what is new, or on a way that earned a reward.

    Of some points drawn at random the one with the greatest `novelty / sqrt(tries + 1)` is taken,
    so that no scale of the bonus matters. A full archive gives up the least promising of as many.

    Args:
        capacity: Points kept at most.
        ways: Ways kept at most, the latest of those with the highest score.

    Raises:
        InvalidArgumentError: A number is below 1.

    Example:
        >>> archive = StartArchive(capacity=2)
        >>> first = Point("a", novelty=1.0)
        >>> archive.add(first)
        >>> archive.add(Point("b", novelty=3.0, before=first))
        >>> archive.choose_new(np.random.default_rng(0)).snapshot
        'b'
    """

    def __init__(self, capacity: int = 1024, ways: int = 64) -> None:
        require_range("capacity", capacity, minimum=1)
        require_range("ways", ways, minimum=1)
        self.capacity = capacity
        self.points: list[Point] = []
        self.ways: deque[Point] = deque(maxlen=ways)

    def add(self, point: Point) -> None:
        """Take in a point, for the least promising of a few where the archive is full."""
        if len(self.points) < self.capacity:
            self.points.append(point)
            return
        # Where the new point falls does not matter, so its own place serves as chance.
        generator = np.random.default_rng(len(self.points) + int(1e6 * abs(point.novelty)))
        drawn = generator.integers(len(self.points), size=_CANDIDATES)
        worst = min(drawn, key=lambda index: _promise(self.points[index]))
        if _promise(self.points[worst]) < _promise(point):
            self.points[worst] = point

    def add_way(self, end: Point) -> None:
        """Take in a way that has just earned a reward; ways of a lower score make room for it."""
        best = max((way.score for way in self.ways), default=end.score)
        if end.score >= best:
            if end.score > best:
                self.ways.clear()
            self.ways.append(end)

    def choose_new(self, generator: np.random.Generator) -> Point:
        """A point where something is new; the archive must not be empty."""
        drawn = generator.integers(len(self.points), size=_CANDIDATES)
        return max((self.points[index] for index in drawn), key=_promise)

    def choose_on_way(self, generator: np.random.Generator) -> Point:
        """A point anywhere on a way that earned a reward; there must be one."""
        way = self.ways[int(generator.integers(len(self.ways)))].way()
        return way[int(generator.integers(len(way)))]


def _promise(point: Point) -> float:
    return point.novelty / float(np.sqrt(point.tries + 1.0))
