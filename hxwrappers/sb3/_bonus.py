"""What the novelty bonuses for Stable-Baselines3 have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.sb3._venv import require_vec_env
from hxwrappers.wrappers._bonus import bonus_info, model_seed, seeded_copy
from hxwrappers.wrappers._holds_model import HoldsModel

__all__ = ["VecNoveltyBonus"]


class VecNoveltyBonus(HoldsModel, VecEnvWrapper):
    """Adds a novelty bonus to the rewards of a vector environment; see `VecRNDBonus`."""

    def __init__(
        self,
        venv: VecEnv,
        model: NoveltyModel | str | os.PathLike[str] | None,
        coefficient: float,
        observation_key: str | None,
        settings: Mapping[str, Any],
    ) -> None:
        require_vec_env(venv, self)
        super().__init__(venv)
        self._hold(
            venv,
            model,
            coefficient,
            venv.observation_space,
            observation_key,
            settings,
            venv.num_envs,
        )
        # make_vec_env seeds the environments before anyone can wrap them.
        seed = venv.unwrapped._seeds[0]
        if seed is not None and self._owns_model:
            self.model.reseed(model_seed(seed))

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the environments, and a model that has not learned anything yet."""
        if seed is not None and self._owns_model:
            self.model.reseed(model_seed(seed))
        return list(self.venv.seed(seed))

    def reset(self) -> VecEnvObs:
        """Reset the environments."""
        observations = self.venv.reset()
        self._remember(observations)
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and add the coefficient times the bonus of each observation reached."""
        observations, rewards, dones, infos = self.venv.step_wait()
        reached = self._scored(observations)
        if dones.any():
            reached = reached.copy()
            for index in np.flatnonzero(dones):
                reached[index] = self._scored_one(infos[index]["terminal_observation"])[0]
        bonuses = self._observe(reached, self._streams, self._previous).astype(np.float64)
        self._remember(observations)
        added = self.coefficient * bonuses
        infos = [
            {**info, **bonus_info(info, *values)}
            for info, *values in zip(
                infos, rewards.tolist(), bonuses.tolist(), added.tolist(), strict=True
            )
        ]
        return observations, (rewards + added).astype(np.float32), dones, infos

    def _random_steps(self, seed: int | None) -> Iterator[int]:
        actions = seeded_copy(self.action_space, seed)
        if seed is not None:
            self.seed(seed)
        self.reset()
        for number in count(1):
            self.step(np.stack([actions.sample() for _ in range(self.num_envs)]))
            yield number

    def _remember(self, observations: VecEnvObs) -> None:
        if self.model.uses_previous:
            self._previous = np.array(self._scored(observations))
