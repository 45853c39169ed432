"""Starting points chosen by novelty: an archive of frozen states, and ways that were paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hxwrappers._utils.checks import require_range
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.files.generators import generator_from_state

_CANDIDATES = 8
"""Points that are drawn at each choice, of which the most promising one is taken."""

_SHORTEST_REACH = 2.0  # points
_COUNTED = 32  # episodes between two moves of the reach
_ENOUGH, _TOO_FEW = 0.2, 0.05  # shares of them that earn the reward


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

    def __len__(self) -> int:
        """Points on it."""
        return len(self.end.way())


class StartArchive:
    """Chooses where episodes start: at what is new, or on a way that earned a reward.

    Of some points drawn at random the one with the greatest `novelty / sqrt(tries + 1)` is taken,
    so that no scale of the bonus matters. A full archive gives up the least promising of as many.

    Starts on ways lie within a reach of their ends, which grows as the reward is earned from there
    (by a fifth of the episodes, as in the frontier rule of Salimans and Chen 2018) and shrinks
    where it is not.

    Args:
        capacity: Points kept at most.
        ways: Ways kept at most, the shortest of those with the highest score.
        seed: Seed of the choices.

    Attributes:
        points: The points kept.
        ways: The ways kept, all of one score.
        reach: Points from the end of a way within which episodes start.

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
        self.most_ways = ways
        self.ways: list[Way] = []
        self.reach = _SHORTEST_REACH
        self._counted, self._earned = 0, 0
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
        """Take in a way that has just earned a reward; worse and longer ones make room for it."""
        if self.ways and way.score < self.score:
            return
        if self.ways and way.score > self.score:
            self.ways.clear()
            self.reach, self._counted, self._earned = _SHORTEST_REACH, 0, 0
        self.ways.append(way)
        if len(self.ways) > self.most_ways:
            self.ways.remove(max(self.ways, key=len))

    @property
    def score(self) -> float:
        """The score of the ways; there must be one."""
        return self.ways[0].score

    def report(self, score: float) -> None:
        """Count an episode that began on a way, and move the reach when enough were counted.

        Args:
            score: The extrinsic return from the game's own start to its end.
        """
        if not self.ways:
            return
        self._counted += 1
        self._earned += score >= self.score
        if self._counted < _COUNTED:
            return
        rate = self._earned / self._counted
        self._counted, self._earned = 0, 0
        if rate >= _ENOUGH:
            self.reach = min(1.2 * self.reach, float(max(map(len, self.ways))))
        elif rate < _TOO_FEW:
            self.reach = max(self.reach / 1.2, _SHORTEST_REACH)

    def choose_new(self) -> Point:
        """A point where something is new; the archive must not be empty."""
        return max((self.points[index] for index in self._draw()), key=_promise)

    def choose_on_way(self) -> Point:
        """A point within reach of the end of a way that earned a reward; there must be one."""
        points = self.ways[int(self.generator.integers(len(self.ways)))].end.way()
        points = points[-round(self.reach) :]
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
            "reach": [self.reach, self._counted, self._earned],
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
        with checkpoint_errors("The state of an archive of starting points is damaged"):
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
            reach, counted, earned = state["reach"]
            if not reach >= _SHORTEST_REACH or not 0 <= earned <= counted < _COUNTED:
                raise ValueError(f"a reach of {reach}, {earned} of {counted} episodes")
            generator = generator_from_state(state["generator"])
        self.points, self.ways, self.generator = chosen, ends, generator
        self.reach, self._counted, self._earned = float(reach), int(counted), int(earned)

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
