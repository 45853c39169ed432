"""Starting points chosen by novelty: an archive of frozen states, and ways that were paid for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hxwrappers._utils.checks import require_count
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.files.generators import generator_from_state

_CANDIDATES = 8
"""Points that are drawn at each choice, of which the most promising one is taken."""

_SHORT = 32  # steps; among ways shorter than that, length counts for little
_SHORTEST_REACH = 8.0  # steps
_COUNTED = 32  # episodes between two moves of the reach
_FAR = 0.25  # share of the reach in which its far end lies
_BEYOND = 4 / 3  # lengths of a way at most in a reach; its far end then lies before the way
_AT_FAR_END = 0.8  # share of the episodes on ways that begin there
_ENOUGH, _TOO_FEW = 0.2, 0.05  # shares of them that earn the reward
_LEARNED = 0.5  # share of the last 32 episodes from the game's own start that earn it


@dataclass(eq=False)
class Point:
    """A state that an episode can start from.

    Attributes:
        snapshot: The frozen environment, which knows its `observation`.
        score: The extrinsic return on the way from the game's own start to here.
        before: The point before it on that way, or None where this is the first one.
        novelty: The bonus of its observation by the present model.
        tries: Episodes that started here.
        steps: The agent's steps on the way to here.
        action: The number of the action that a demonstration took here; None where there is none.
    """

    snapshot: Any
    score: float = 0.0
    before: Point | None = None
    novelty: float = 0.0
    tries: int = 0
    steps: int = 0
    action: int | None = None

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
        steps: The agent's steps from the game's own start to the reward.
        demonstrated: Whether a demonstration showed it.

    Example:
        >>> before = Point("door", score=1.0, steps=4)
        >>> Way(3.0, Point("hall", score=1.0, before=before, steps=8), steps=10).returns(0.5)
        [0.0625, 1.0]
    """

    score: float
    end: Point
    steps: int
    demonstrated: bool = False

    def returns(self, discount: float, clip: float | None = None) -> list[float]:
        """The discounted rewards that came after each of its points.

        Args:
            discount: For each of the agent's steps.
            clip: The greatest size of a reward; None leaves rewards as they are.
        """
        returns: list[float] = []
        rest: float
        score, steps, rest = self.score, self.steps, 0.0
        for point in reversed(self.end.way()):
            reward, between = score - point.score, steps - point.steps
            if clip is not None:
                reward = max(-clip, min(clip, reward))
            rest = discount**between * rest + discount ** max(0, between - 1) * reward
            returns.append(rest)
            score, steps = point.score, point.steps
        return returns[::-1]


class StartArchive:
    """Chooses where episodes start: at what is new, or on a way that earned a reward.

    Of some points drawn at random the one with the greatest `novelty / sqrt(tries + 1)` is taken,
    so that no scale of the bonus matters. Once a way is known, it is the one with the greatest
    `novelty / sqrt((tries + 1) * (steps + 32))`: of two ways to much the same place the shorter one
    goes on, since a way that wanders takes the agent as many times longer to learn. A full archive
    gives up the least promising of as many.

    Starts on ways lie within a reach of their rewards, most of them at its far end; the others lie
    anywhere on them once a way to a lower score was learned, so that it is not forgotten. The reach
    goes on beyond a way: what begins there begins at the game's own start. It grows as the
    reward is earned from there (by a fifth of the episodes, as in the frontier rule of Salimans and
    Chen 2018, whose share of starts at the frontier it has, too) and shrinks where it is not.

    Args:
        capacity: Points kept at most.
        ways: Ways kept at most, the shortest of those with the highest score.
        seed: Seed of the choices.

    Attributes:
        points: The points kept.
        ways: The ways kept, all of one score.
        reach: Steps from the reward at the end of a way within which episodes start.
        rate: Share of the last episodes from the far end of the reach that earned the reward.

    Raises:
        InvalidArgumentError: A number is below 1, or no whole one.

    Example:
        >>> archive = StartArchive(capacity=2)
        >>> first = Point("a", novelty=1.0)
        >>> archive.add(first)
        >>> archive.add(Point("b", novelty=3.0, before=first))
        >>> archive.choose_new().snapshot
        'b'
    """

    def __init__(self, capacity: int = 1024, ways: int = 64, seed: int | None = None) -> None:
        require_count("capacity", capacity, 1)
        require_count("ways", ways, 1)
        self.capacity = capacity
        self.points: list[Point] = []
        self.most_ways = ways
        self.ways: list[Way] = []
        self.reach, self.rate = _SHORTEST_REACH, 0.0
        self._counted, self._earned = 0, 0
        self._had_learned = False
        self._from_start: deque[bool] = deque(maxlen=_COUNTED)  # which earned the ways' reward
        self.generator = np.random.default_rng(seed)

    def add(self, point: Point) -> None:
        """Take in a point, for the least promising of a few where the archive is full."""
        if len(self.points) < self.capacity:
            self.points.append(point)
            return
        worst = min(self._draw(), key=lambda index: self._promise(self.points[index]))
        if self._promise(self.points[worst]) < self._promise(point):
            self.points[worst] = point

    def add_way(self, way: Way) -> None:
        """Take in a way that has just earned a reward; worse and longer ones make room for it.

        Of equally good ways those that a demonstration showed stay, since they are imitated.
        """
        if self.ways and way.score < self.score:
            return
        if self.ways and way.score > self.score:
            self._had_learned |= self.has_learned
            self.ways.clear()
            self.reach, self.rate = _SHORTEST_REACH, 0.0
            self._counted, self._earned = 0, 0
            self._from_start.clear()
        self.ways.append(way)
        if len(self.ways) > self.most_ways:
            self.ways.remove(max(self.ways, key=lambda way: (not way.demonstrated, way.steps)))

    @property
    def score(self) -> float:
        """The score of the ways; there must be one."""
        return self.ways[0].score

    @property
    def has_learned(self) -> bool:
        """Whether half of the last 32 episodes from the game's own start earn the ways' reward."""
        counted = self._from_start
        return len(counted) == _COUNTED and sum(counted) >= _LEARNED * _COUNTED

    def report_from_start(self, score: float) -> None:
        """Count an episode that began at the game's own start.

        Args:
            score: Its extrinsic return.
        """
        if self.ways:
            self._from_start.append(score >= self.score)

    def report(self, score: float, back: int) -> None:
        """Count an episode that began on a way, and move the reach when enough were counted.

        Args:
            score: The extrinsic return from the game's own start to its end.
            back: How far back in the reach it began; those that do not begin at its far end say
                nothing about it.
        """
        if not self.ways or not self._near_end <= back <= self.reach + _SHORTEST_REACH:
            return
        self._counted += 1
        self._earned += score >= self.score
        if self._counted < _COUNTED:
            return
        self.rate = self._earned / self._counted
        self._counted, self._earned = 0, 0
        if self.rate >= _ENOUGH:
            self.reach = min(1.2 * self.reach, self._farthest)
        elif self.rate < _TOO_FEW:
            self.reach = max(self.reach / 1.2, _SHORTEST_REACH)

    def choose_new(self) -> Point:
        """A point where something is new; the archive must not be empty."""
        return max((self.points[index] for index in self._draw()), key=self._promise)

    def choose_on_way(self) -> tuple[Point | None, int, int]:
        """Where an episode on a way that earned a reward starts; there must be one.

        Returns:
            The point, or None for the game's own start; how many steps the way takes from there to
            the reward; and how far back the start lies within the reach, which goes beyond the
            game's own start in the end.
        """
        way = self.ways[int(self.generator.integers(len(self.ways)))]
        least, most = 1, min(round(self.reach), math.ceil(_BEYOND * way.steps))
        if self.generator.random() < _AT_FAR_END:
            least = min(self._near_end, most)
        elif self._had_learned:
            most = way.steps
        wanted = int(self.generator.integers(least, max(least, most) + 1))
        if wanted > way.steps:
            return None, way.steps, wanted
        point = way.end
        while point.before is not None and way.steps - point.steps < wanted:
            point = point.before
        left = way.steps - point.steps
        return point, left, left

    @property
    def _farthest(self) -> float:
        """The longest reach, at whose far end all episodes begin at the game's own start."""
        ends = (math.ceil(_BEYOND * way.steps) for way in self.ways)
        return max(_SHORTEST_REACH, *ends)

    @property
    def _near_end(self) -> int:
        """Steps from the reward to the far end of the reach, where that begins."""
        return max(1, round(self.reach) - round(_FAR * self.reach))

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
            "steps": [p.steps for p in points],
            "actions": [-1 if p.action is None else p.action for p in points],
            "points": [place[id(point)] for point in self.points],
            "ways": [
                [way.score, place[id(way.end)], way.steps, way.demonstrated] for way in self.ways
            ],
            "reach": [self.reach, self.rate, self._counted, self._earned],
            "had_learned": self._had_learned,
            "from_start": list(self._from_start),
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
            names = ("before", "scores", "novelties", "tries", "steps", "actions")
            rows = zip(snapshots, *(state[name] for name in names), strict=True)
            every: list[Point] = []
            for snapshot, before, score, novelty, tries, steps, action in rows:
                if not -1 <= before < len(every) or min(tries, steps) < 0:
                    raise ValueError(f"point {len(every)}: {before}, {tries}, {steps}")
                link = None if before < 0 else every[before]
                if link is not None and link.steps > steps:
                    raise ValueError(f"step {steps} comes after step {link.steps}")
                known = None if action < 0 else int(action)
                every.append(
                    Point(
                        snapshot, float(score), link, float(novelty), int(tries), int(steps), known
                    )
                )
            points = state["points"]
            places = [*points, *(index for _, index, _, _ in state["ways"])]
            if any(index < 0 for index in places) or len(points) > self.capacity:
                raise ValueError("points that there cannot be")
            chosen = [every[index] for index in points]
            ends = [
                Way(float(score), every[index], int(steps), bool(demonstrated))
                for score, index, steps, demonstrated in state["ways"]
            ]
            if any(way.steps <= way.end.steps for way in ends):
                raise ValueError("a way that ends before its last point")
            reach, rate, counted, earned = state["reach"]
            if not reach >= _SHORTEST_REACH or not 0 <= earned <= counted < _COUNTED:
                raise ValueError(f"a reach of {reach}, {earned} of {counted} episodes")
            had_learned = bool(state["had_learned"])
            from_start = [bool(earned) for earned in state["from_start"]]
            generator = generator_from_state(state["generator"])
        self.points, self.ways, self.generator = chosen, ends, generator
        self.reach, self.rate, self._had_learned = float(reach), float(rate), had_learned
        self._counted, self._earned = int(counted), int(earned)
        self._from_start = deque(from_start, _COUNTED)

    def all_points(self) -> list[Point]:
        """The points kept, those of the ways, and those before them; each after the one before."""
        every: dict[int, Point] = {}
        for end in (*self.points, *(way.end for way in self.ways)):
            for point in end.way():
                every.setdefault(id(point), point)
        return list(every.values())

    def _promise(self, point: Point) -> float:
        length = point.steps + _SHORT if self.ways else 1
        return point.novelty / math.sqrt((point.tries + 1) * length)

    def _draw(self) -> list[int]:
        drawn: list[int] = self.generator.integers(len(self.points), size=_CANDIDATES).tolist()
        return drawn
