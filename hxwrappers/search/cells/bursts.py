"""Bursts of random actions from a restored state: what every search explores by."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym

from hxwrappers._utils.modules import load_function
from hxwrappers.demos.player import own_reward
from hxwrappers.errors import DemoError
from hxwrappers.search.cells.actions import actions_of
from hxwrappers.search.cells.archive import Start
from hxwrappers.search.cells.packing import SnapshotPacker
from hxwrappers.search.cells.settings import ExplorationSettings
from hxwrappers.snapshots import (
    find_snapshotter,
    first_inexact_step,
    first_unrepeated_step,
    why_not_copied,
)

_TRIED, _TRIALS = 100, 4
"""Steps of a trial of the environment, and how many are made from snapshots."""

RewardFunction = Callable[[gym.Env[Any, Any], Any, float], float]
"""Takes the environment, the observation after a step and the step's own reward, and gives the
number that the search adds to the score."""


class Moment(NamedTuple):
    """What came of one action of a burst, held for its steps.

    Attributes:
        observation: The last observation.
        action: The action.
        score: The return on the way, from the reset.
        length: The environment's steps on the way, from the reset.
        lives: The lives left, or None.
        terminated: Whether the episode ended by itself.
        truncated: Whether it was cut off.
        fell: Whether a life was lost.
    """

    observation: Any
    action: Any
    score: float
    length: int
    lives: int | None
    terminated: bool
    truncated: bool
    fell: bool

    @property
    def over(self) -> bool:
        """Whether nothing can be explored from here: the episode has ended, or a life is lost."""
        return self.terminated or self.truncated or self.fell


class Bursts:
    """One environment to explore in.

    Args:
        settings: What to search and how.
        env: The environment to search in.
        reference: What packed snapshots are compressed against; see `SnapshotPacker`.

    Attributes:
        env: The environment, reset.
        first: The observation after the reset.
        first_lives: The lives then, or None.
        packer: Packs and restores its states.
        start: The state after the reset.
        actions: Its actions.

    Raises:
        DemoError: The environment has no fast and exact snapshots, or its actions cannot be
            drawn.
    """

    def __init__(
        self, settings: ExplorationSettings, env: Any, reference: bytes | None = None
    ) -> None:
        self._settings = settings
        self.env = env
        self.actions = actions_of(env.action_space, settings.env_id)
        self._reward = load_reward(settings.reward)
        env.reset(seed=settings.seed)
        self._snapshotter = find_snapshotter(env)
        if not self._snapshotter.fast:
            raise DemoError(
                f"{settings.env_id} can only be restored by replaying it from the seed, which is "
                f"too slow for a search: {why_not_copied(env)}. Give the environment get_state and "
                "set_state, or attributes that can be copied."
            )
        if reference is None:  # one explorer tries it out for all
            self._try_out()
        self.first, info = env.reset(seed=settings.seed)
        self.first_lives: int | None = info.get("lives")
        if not self._snapshotter.exact_now():
            raise DemoError(
                f"{settings.env_id} cannot be frozen exactly right after its reset, so there is "
                "nowhere to begin. For an Atari game use repeat_action_probability=0."
            )
        self.packer = SnapshotPacker(self._snapshotter, reference)
        self.start = Start(0.0, 0, self.first_lives, self.packer.pack(), b"", 0)

    def _try_out(self) -> None:
        """Refuse an environment of which nothing that is found could be repeated."""
        settings = self._settings
        problem = first_unrepeated_step(self.env, steps=_TRIED, seed=settings.seed)
        if problem is None and self._snapshotter.exact_now():
            problem = first_inexact_step(
                self._snapshotter, steps=_TRIED, trials=_TRIALS, seed=settings.seed
            )
            if problem is not None:
                problem = f"its snapshots are not exact: {problem}"
        if problem is not None:
            raise DemoError(f"{settings.env_id} cannot be searched: {problem}.")

    def exact_now(self) -> bool:
        """Whether the environment can be frozen exactly as it is now."""
        return self._snapshotter.exact_now()

    def go_to(self, start: Start) -> Any:
        """Bring the environment to a state.

        Returns:
            The packed state where it had to be made again by the actions; otherwise None.
        """
        if start.snapshot is not None:
            self.packer.restore(start.snapshot)
            return None
        self.env.reset(seed=self._settings.seed)
        for action in self.actions.unpack(start.actions):
            self._act(action, 0.0, 0, None)
        return self.packer.pack()

    def explore(self, start: Start) -> Iterator[Moment]:
        """Act at random from a state, to which `go_to` has gone.

        Ends when the actions are spent, a life is lost, or the episode ends.
        """
        chance = random.Random(start.seed)
        score, length, lives = start.score, start.length, start.lives
        action = self.actions.draw(chance)
        for _ in range(self._settings.explore):
            if chance.random() >= self._settings.repeat:
                action = self.actions.draw(chance)
            moment = self._act(action, score, length, lives)
            yield moment
            if moment.over:
                return
            score, length, lives = moment.score, moment.length, moment.lives

    def play(
        self,
        start: Start,
        actions: Iterable[Any],
        every: int | None = None,
        note: Callable[[Start | None], object] = lambda _: None,
    ) -> Iterator[Moment]:
        """Take actions from a state.

        Ends when the actions are spent, a life is lost, or the episode ends.

        Args:
            start: The state.
            actions: The actions.
            every: Actions between two states that are noted; None notes none.
            note: Called with them; with None where the state cannot be frozen exactly.
        """
        self.go_to(start)
        score, length, lives = start.score, start.length, start.lives
        for number, action in enumerate(actions, 1):
            moment = self._act(action, score, length, lives)
            score, length, lives = moment.score, moment.length, moment.lives
            if every is not None and not moment.over and number % every == 0:
                note(
                    Start(score, length, lives, self.packer.pack(), b"", 0)
                    if self.exact_now()
                    else None
                )
            yield moment
            if moment.over:
                return

    def _act(self, action: Any, score: float, length: int, lives: int | None) -> Moment:
        earned, steps = 0.0, 0
        for _ in range(self._settings.steps_held):
            observation, reward, terminated, truncated, info = self.env.step(
                self.actions.taken(action)
            )
            own = own_reward(reward, info)
            earned += own if self._reward is None else self._reward(self.env, observation, own)
            steps += 1
            left = info.get("lives")
            fell = lives is not None and left is not None and left < lives
            if terminated or truncated or fell:
                break
        return Moment(
            observation,
            action,
            score + earned,
            length + steps,
            left,
            bool(terminated),
            bool(truncated),
            fell,
        )


def load_reward(name: str | None) -> RewardFunction | None:
    """The reward function called `"module:function"`, or None where none is named.

    What it gives is made a float, so that the score can be kept and compared.

    Raises:
        DemoError: It cannot be imported. Called, it failed or returned no number.

    Example:
        >>> reward = load_reward("operator:truth")
        >>> load_reward(None) is None
        True
    """
    if name is None:
        return None
    function = load_function(name, "reward", DemoError)

    def reward(env: gym.Env[Any, Any], observation: Any, own: float) -> float:
        try:
            return float(function(env, observation, own))
        except Exception as error:  # a user's function fails in its own ways
            raise DemoError(
                f"The reward function {name} failed: {type(error).__name__}: {error}. It is "
                "called with the environment, the observation and the environment's reward, and "
                "returns a number."
            ) from error

    return reward
