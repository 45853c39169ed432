"""What the novelty bonuses for one environment have in common."""

from __future__ import annotations

import copy
import multiprocessing
import os
import warnings
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from hxwrappers.demos.player import own_reward
from hxwrappers.errors import SharedModelWarning
from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.wrappers._holds_model import HoldsModel
from hxwrappers.wrappers._kinds import require_env
from hxwrappers.wrappers._spec import SpecInJson

__all__ = ["NoveltyBonus", "bonus_info", "model_seed", "seeded_copy"]


class NoveltyBonus(SpecInJson, HoldsModel, gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds a novelty bonus to the reward of one environment; see `RNDBonus` and `CNDBonus`."""

    unrestored = frozenset({"model", "coefficient", "_coefficient", "_streams", "_training"})

    def __init__(
        self,
        env: gym.Env[Any, Any],
        model: NoveltyModel | str | os.PathLike[str] | None,
        coefficient: float,
        observation_key: str | None,
        settings: Mapping[str, Any],
    ) -> None:
        model = os.fspath(model) if isinstance(model, os.PathLike) else model
        RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # a model is there to be shared
            model=model,
            coefficient=coefficient,
            observation_key=observation_key,
            **settings,
        )
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        if model is None and multiprocessing.parent_process() is not None:
            warnings.warn(
                f"{type(self).__name__} runs inside a worker process and trains a model of its "
                "own there, which is in no checkpoint. Wrap the vector environment instead "
                "(hxwrappers.vector or hxwrappers.sb3), so that all environments share one model.",
                SharedModelWarning,
                stacklevel=3,
            )
        self._hold(env, model, coefficient, env.observation_space, observation_key, settings, 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; a seed also seeds a model that has not learned anything yet."""
        self._watch()
        observation, info = self.env.reset(seed=seed, options=options)
        if seed is not None and self._owns_model:
            self.model.reseed(model_seed(seed))
        self._previous = self._scored_one(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step, and add the coefficient times the bonus of the observation reached."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        batch = self._scored_one(observation)
        bonus = float(self._observe(batch, self._streams, self._previous)[0])
        self._previous = batch
        added = self.coefficient * bonus
        info = {**info, **bonus_info(info, float(reward), bonus, added)}
        return observation, float(reward) + added, terminated, truncated, info

    def _random_steps(self, seed: int | None) -> Iterator[int]:
        actions = seeded_copy(self.action_space, seed)
        self.reset(seed=seed)
        for number in count(1):
            _, _, terminated, truncated, _ = self.step(actions.sample())
            yield number
            if terminated or truncated:
                self.reset()


def bonus_info(
    info: Mapping[str, Any], reward: float, bonus: float, added: float
) -> dict[str, float]:
    """The entries that a bonus leaves in `info`, on top of those of a bonus below it.

    Entries of these names that the environment has by itself, without a `reward_bonus` beside
    them, are overwritten.
    """
    below = info if "reward_bonus" in info else {}
    return {
        "extrinsic_reward": own_reward(reward, below),
        "intrinsic_reward": below.get("intrinsic_reward", 0.0) + bonus,
        "reward_bonus": below.get("reward_bonus", 0.0) + added,
    }


def seeded_copy(space: gym.Space[Any], seed: int | None) -> gym.Space[Any]:
    """A space that draws from a seed, and leaves the generator of the one it is a copy of alone."""
    own = copy.deepcopy(space)
    own.seed(seed)
    return own


def model_seed(seed: int) -> int:
    """A seed for a model, apart from the one that the environment was given."""
    (child,) = np.random.SeedSequence(seed).spawn(1)
    return int(child.generate_state(1, np.uint64)[0])
