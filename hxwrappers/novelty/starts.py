"""Starting points chosen by novelty: an archive of frozen states, and ways that were paid for."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hxwrappers._random import generator_from_state
from hxwrappers._ranges import require_range
from hxwrappers.checkpoints import refusing_malformed

__all__ = ["Point", "StartArchive", "Way"]

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


@dataclass(frozen=True)
class Way:
    """A way that earned a reward.

    Attributes:
        score: The extrinsic return from the game's own start, the reward included.
        end: The last point before the reward.
    """

    score: float
    end: Point


class StartArchive:
    """Chooses where episodes start: at what is new, or on a way that earned a reward.

    Of some points drawn at random the one with the greatest `novelty / sqrt(tries + 1)` is taken,
    so that no scale of the bonus matters. A full archive gives up the least promising of as many.

    Args:
        capacity: Points kept at most.
        ways: Ways kept at most, the latest of those with the highest score.
        seed: Seed of the choices.

    Raises:
        InvalidArgumentError: A number is below 1.

    Example:
        >>> archive = StartArchive(capacity=2)
        >>> first = Point("a", novelty=1.0)
        >>> archive.add(first)
        >>> archive.add(Point("b", novelty=3.0, before=first))
        >>> archive.choose_new().snapshot
        'b'
    """

    def __init__(self, capacity: int = 1024, ways: int = 64, seed: int | None = None) -> None:
        require_range("capacity", capacity, minimum=1)
        require_range("ways", ways, minimum=1)
        self.capacity = capacity
        self.points: list[Point] = []
        self.ways: deque[Way] = deque(maxlen=ways)
        self.generator = np.random.default_rng(seed)

    def add(self, point: Point) -> None:
        """Take in a point, for the least promising of a few where the archive is full."""
        if len(self.points) < self.capacity:
            self.points.append(point)
            return
        worst = min(self._draw(), key=lambda index: _promise(self.points[index]))
        if _promise(self.points[worst]) < _promise(point):
            self.points[worst] = point

    def add_way(self, way: Way) -> None:
        """Take in a way that has just earned a reward; ways of a lower score make room for it."""
        best = max((each.score for each in self.ways), default=way.score)
        if way.score >= best:
            if way.score > best:
                self.ways.clear()
            self.ways.append(way)

    def choose_new(self) -> Point:
        """A point where something is new; the archive must not be empty."""
        return max((self.points[index] for index in self._draw()), key=_promise)

    def choose_on_way(self) -> Point:
        """A point anywhere on a way that earned a reward; there must be one."""
        points = self.ways[int(self.generator.integers(len(self.ways)))].end.way()
        return points[int(self.generator.integers(len(points)))]

    def state_dict(self) -> dict[str, Any]:
        """All but the snapshots: how points are linked, and what is known of them.

        `all_points` gives the points in the order of these lists.
        """
        points = self.all_points()
        place = {id(point): index for index, point in enumerate(points)}
        return {
            "before": [-1 if p.before is None else place[id(p.before)] for p in points],
            "scores": [p.score for p in points],
            "novelties": [p.novelty for p in points],
            "tries": [p.tries for p in points],
            "points": [place[id(point)] for point in self.points],
            "ways": [[way.score, place[id(way.end)]] for way in self.ways],
            "generator": self.generator.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any], snapshots: Sequence[Any]) -> None:
        """Restore what `state_dict` gave.

        Args:
            state: The state.
            snapshots: Those of `all_points`, in their order.

        Raises:
            CheckpointError: The state is damaged; nothing is changed then.
        """
        with refusing_malformed("The state of an archive of starting points is damaged"):
            rows = zip(
                snapshots,
                state["scores"],
                state["before"],
                state["novelties"],
                state["tries"],
                strict=True,
            )
            every: list[Point] = []
            for snapshot, score, before, novelty, tries in rows:
                if not -1 <= before < len(every) or tries < 0:
                    raise ValueError(f"point {len(every)} comes after {before}, {tries} tries")
                link = None if before < 0 else every[before]
                every.append(Point(snapshot, float(score), link, float(novelty), int(tries)))
            points = state["points"]
            ways = [(float(score), index) for score, index in state["ways"]]
            places = [*points, *(index for _, index in ways)]
            if any(index < 0 for index in places) or len(points) > self.capacity:
                raise ValueError("points that there cannot be")
            chosen = [every[index] for index in points]
            ends = [Way(score, every[index]) for score, index in ways]
            generator = generator_from_state(state["generator"])
        self.points, self.generator = chosen, generator
        self.ways = deque(ends, maxlen=self.ways.maxlen)

    def all_points(self) -> list[Point]:
        """The points kept, those of the ways, and those before them; each after the one before."""
        every: dict[int, Point] = {}
        for end in (*self.points, *(way.end for way in self.ways)):
            for point in end.way():
                every.setdefault(id(point), point)
        return list(every.values())

    def _draw(self) -> list[int]:
        drawn: list[int] = self.generator.integers(len(self.points), size=_CANDIDATES).tolist()
        return drawn


def _promise(point: Point) -> float:
    return point.novelty / float(np.sqrt(point.tries + 1.0))
