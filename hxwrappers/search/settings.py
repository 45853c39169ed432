"""Settings of a search by novelty, in plain values."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import gymnasium as gym

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.search.cells import ExplorationSettings
from hxwrappers.search.signatures import FEWEST_SIBLINGS
from hxwrappers.search.views import says_more_in_numbers


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
