"""Exploration for a search by novelty, and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy.typing as npt

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.search.cells import ExplorationSettings
from hxwrappers.search.cells.archive import Start
from hxwrappers.search.cells.bursts import Bursts, Moment
from hxwrappers.search.signatures import (
    FEWEST_SIBLINGS,
    make_view,
    says_more_in_numbers,
    signatures,
    vector_size,
)


@dataclass(frozen=True)
class NoveltySearchSettings(ExplorationSettings):
    """What to search by novelty and how; the same settings and one worker give the same search.

    Attributes:
        env_id: The environment's id, with a module in front where one must be imported.
        env_args: Arguments for `gym.make`, JSON values.
        explore: Actions of one exploration.
        batch: States that a worker explores from between two exchanges.
        siblings: Explorations from each of them, whose pictures are compared to see what the
            actions have changed.
        note_every: Actions between two states of an exploration that may join the population.
        population: States that are kept at most.
        growth: Explorations for each state that is kept: the population grows as it is explored.
        groups: Share of the states explored from that is divided among groups, those of one scene
            and one of the best scores, however few states they have; the others are drawn from all.
        novelty: Power of the novelty model's error in the weight of a state; 0 does without the
            model.

    Raises:
        InvalidArgumentError: A number is out of range.
    """

    _: KW_ONLY
    explore: int = 30
    batch: int = 6
    siblings: int = 6
    note_every: int = 5
    population: int = 4096
    growth: int = 48
    groups: float = 0.5
    novelty: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            self.siblings < FEWEST_SIBLINGS
            or self.note_every < 1
            or not 0 <= self.groups <= 1
            or not 0 <= self.novelty <= 16
        ):
            raise InvalidArgumentError(
                f"siblings is {self.siblings}, but must be at least {FEWEST_SIBLINGS}; note_every "
                f"is {self.note_every}, but must be at least 1; groups is {self.groups}, but is a "
                f"share from 0 to 1; novelty is {self.novelty}, but is a power from 0 to 16."
            )

    def make_search_env(self) -> gym.Env[Any, Any]:
        """The environment with observations, or pictures, that tell its states apart."""
        env = self.make_env()
        if says_more_in_numbers(env):
            return env
        env.close()
        return self.make_env_with_pictures()


Array = npt.NDArray[Any]


class Order(NamedTuple):
    """What one explorer is to do next.

    Attributes:
        starts: The states to explore from.
        seeds: For each of them, seeds of the random actions, one an exploration.
    """

    starts: list[Start]
    seeds: list[list[int]]


class Candidate(NamedTuple):
    """A state that may join the population, or a way that ended or earned something.

    Attributes:
        vector: What tells it from others; None for a mere way.
        picture: What it looks like; None for a mere way.
        score: The return on the way.
        length: The environment's steps on the way.
        lives: The lives left, or None.
        actions: The actions since the start, packed.
        snapshot: The packed state; None for a mere way.
        terminated: Whether the episode ended by itself there.
    """

    vector: Array | None
    picture: Array | None
    score: float
    length: int
    lives: int | None
    actions: bytes
    snapshot: Any
    terminated: bool


class Exploration(NamedTuple):
    """What came of one state's explorations.

    Attributes:
        candidates: Those of each exploration, in the order in which they were reached.
        steps: The environment's steps that each took.
        falls: Whether each ended with a lost life.
        snapshot: The packed state they began in, where that had to be made again; otherwise None.
    """

    candidates: list[list[Candidate]]
    steps: list[int]
    falls: list[bool]
    snapshot: Any


@dataclass
class _Burst:
    """One exploration as it was played."""

    noted: dict[int, Candidate] = field(default_factory=dict)
    ways: list[tuple[int, Candidate]] = field(default_factory=list)
    safe: int = 0
    steps: int = 0
    fell: bool = False


class NoveltyExplorer:
    """One environment to explore with.

    Args:
        settings: What to search and how.
        reference: What packed snapshots are compressed against.

    Attributes:
        reference: The same, for the explorers that this one exchanges snapshots with.
        actions: The environment's actions.
        view: What its states look like.
        vector_size: Numbers of the vectors that tell states apart.

    Raises:
        DemoError: The environment cannot be made, has no fast and exact snapshots, or nothing
            tells its states apart.
    """

    def __init__(self, settings: NoveltySearchSettings, reference: bytes | None = None) -> None:
        self._settings = settings
        env = settings.make_search_env()
        self._bursts = Bursts(settings, env, reference)
        self.actions = self._bursts.actions
        self.reference = self._bursts.packer.reference
        self.view = make_view(env, self._bursts.first)
        self.vector_size = vector_size(self.view)

    def beginning(self) -> Candidate:
        """The state after the reset; to be asked for before anything is explored."""
        start = self._bursts.start
        picture = self.view(self._bursts.env, self._bursts.first)
        vector = signatures([picture] * FEWEST_SIBLINGS)[0]
        return Candidate(vector, picture, 0.0, 0, start.lives, b"", start.snapshot, False)

    def follow(self, way: bytes) -> list[Candidate]:
        """The states on a way from the reset, and its end, as what an exploration comes to.

        Args:
            way: Its actions, packed.
        """
        actions = self.actions.unpack(way)
        burst = self._record(
            self._bursts.start, self._bursts.play(self._bursts.start, actions), last=len(actions)
        )
        vectors = {
            (0, count): signatures([one.picture] * FEWEST_SIBLINGS)[0]
            for count, one in burst.noted.items()
            if one.picture is not None
        }
        return _candidates(burst, 0, vectors, 0.0)

    def carry_out(self, order: Order) -> list[Exploration]:
        """Do an order."""
        return [
            self._explore(start, seeds)
            for start, seeds in zip(order.starts, order.seeds, strict=True)
        ]

    def _explore(self, start: Start, seeds: list[int]) -> Exploration:
        rebuilt = None
        bursts = []
        for seed in seeds:
            made = self._bursts.go_to(start)
            if made is not None:
                rebuilt, start = made, start._replace(snapshot=made)
            begun = start._replace(seed=seed)
            bursts.append(self._record(begun, self._bursts.explore(begun)))
        moments = range(0, self._settings.explore + 1, self._settings.note_every)
        vectors: dict[tuple[int, int], Array] = {}
        for moment in moments:
            alive = {
                number: burst.noted[moment].picture
                for number, burst in enumerate(bursts)
                if moment in burst.noted
            }
            pictures = [picture for picture in alive.values() if picture is not None]
            vectors.update(
                ((number, moment), vector)
                for number, vector in zip(alive, signatures(pictures), strict=False)
            )
        return Exploration(
            [
                _candidates(burst, number, vectors, start.score)
                for number, burst in enumerate(bursts)
            ],
            [burst.steps for burst in bursts],
            [burst.fell for burst in bursts],
            rebuilt,
        )

    def _record(self, start: Start, moments: Iterator[Moment], last: int = 0) -> _Burst:
        """Note the states that are played through, every so often and after the last action."""
        burst = _Burst()
        taken: list[Any] = []
        before = start.score
        for moment in moments:
            taken.append(moment.action)
            count = len(taken)
            burst.steps = moment.length - start.length
            way = Candidate(
                None,
                None,
                moment.score,
                moment.length,
                moment.lives,
                b"",
                None,
                moment.terminated,
            )
            if (moment.score > before or moment.terminated) and not moment.fell:
                packed = self.actions.pack(taken)
                burst.ways.append((count, way._replace(actions=packed)))
            before = moment.score
            if moment.over:
                burst.fell = moment.fell
                burst.safe = count - self._settings.doomed if moment.fell else count
                return burst
            due = count == last or count % self._settings.note_every == 0
            if due and self._bursts.exact_now():
                burst.noted[count] = way._replace(
                    picture=self.view(self._bursts.env, moment.observation),
                    actions=self.actions.pack(taken),
                    snapshot=self._bursts.packer.pack(),
                )
        burst.safe = len(taken)
        return burst


def _candidates(
    burst: _Burst, number: int, vectors: dict[tuple[int, int], Array], score: float
) -> list[Candidate]:
    """The candidates of an exploration: what it noted, unless it was doomed, and its ways.

    Most states in the last moments before a life is lost cannot be saved any more; those that have
    earned a reward are too precious to be given up for that.
    """
    found = [
        (count, candidate._replace(vector=vectors[number, count]))
        for count, candidate in burst.noted.items()
        if (count <= burst.safe or candidate.score > score) and (number, count) in vectors
    ]
    return [candidate for _, candidate in sorted(found + burst.ways, key=lambda item: item[0])]
