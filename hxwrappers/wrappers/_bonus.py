"""The base of the novelty bonuses for one environment."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from hxwrappers.bridge.bonus_info import bonus_info, model_seed, seeded_copy
from hxwrappers.bridge.kinds import require_env
from hxwrappers.bridge.model_holder import ModelHolder
from hxwrappers.errors import SharedModelWarning
from hxwrappers.novelty import NoveltyModel
from hxwrappers.wrappers._spec import SpecInJson


class NoveltyBonus(SpecInJson, ModelHolder, gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
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
