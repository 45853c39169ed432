"""Novelty bonuses for Stable-Baselines3."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)
from typing_extensions import Unpack

from hxwrappers.bridge.bonuses import bonus_info
from hxwrappers.bridge.model_holder import ModelHolder, seeded_copy
from hxwrappers.errors import StatisticsWarning
from hxwrappers.novelty import CNDModel, CNDSettings, NoveltyModel, NoveltySettings, RNDModel
from hxwrappers.sb3.layers import RewardWrapper, with_terminal


class VecNoveltyBonus(ModelHolder, RewardWrapper):
    """Adds a novelty bonus to the rewards of a vector environment; see `VecRNDBonus`.

    Attributes:
        added: What the last step's bonuses added to the rewards, `(num_envs,)`.
    """

    def __init__(
        self,
        venv: VecEnv,
        model: NoveltyModel | str | os.PathLike[str] | None,
        coefficient: float,
        observation_key: str | None,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(venv)
        self._warned_of_goals = False
        self.added: npt.NDArray[np.float64] = np.zeros(venv.num_envs)
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
        self._seed_model(venv.unwrapped._seeds[0])

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the environments, and a model that has not learned anything yet."""
        self._seed_model(seed)
        return list(self.venv.seed(seed))

    def reset(self) -> VecEnvObs:
        """Reset the environments."""
        self._watch()
        observations = self.venv.reset()
        self.remember(observations)
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and add the coefficient times the bonus of each observation reached."""
        observations, rewards, dones, infos = self.venv.step_wait()
        reached = with_terminal(
            self._scored(observations), dones, infos, lambda each: self._scored_one(each)[0]
        )
        bonuses = self._observe(reached, self._streams, self._previous).astype(np.float64)
        self.remember(observations)
        self.added = added = self.coefficient * bonuses
        infos = [
            {**info, **bonus_info(info, *values)}
            for info, *values in zip(
                infos, rewards.tolist(), bonuses.tolist(), added.tolist(), strict=True
            )
        ]
        return observations, self._summed(rewards, added), dones, infos

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the environments; hindsight that asks for rewards gets no bonus."""
        if method_name == "compute_reward" and not self._warned_of_goals:
            self._warned_of_goals = True
            warnings.warn(
                "Transitions whose goals HerReplayBuffer replaces get no bonus, and the others "
                "keep the one of the day they were made. Use hxwrappers.sb3.BonusHerReplayBuffer.",
                StatisticsWarning,
                stacklevel=3,
            )
        return super().env_method(method_name, *args, indices=indices, **kwargs)

    def present(self, observations: Any) -> npt.NDArray[np.float64]:
        """What reaching observations would add to rewards by now; nothing is learned.

        Args:
            observations: A batch, as this wrapper observes it.

        Returns:
            The coefficient times the bonuses, `(batch,)`; zeros during the warm-up.
        """
        part = self._scored(observations)
        if self.model.warming_up:
            return np.zeros(len(part))
        bonuses: npt.NDArray[np.float64] = np.asarray(self.model.bonus(part), np.float64)
        return self.coefficient * bonuses

    def _random_steps(self, seed: int | None) -> Iterator[int]:
        actions = seeded_copy(self.action_space, seed)
        if seed is not None:
            self.seed(seed)
        self.reset()
        for number in count(1):
            self.step(np.stack([actions.sample() for _ in range(self.num_envs)]))
            yield number

    def remember(self, observations: VecEnvObs) -> None:
        """Take observations for those before the next step; for layers outside that restore some.

        Args:
            observations: Those of all environments, as this wrapper observes them.
        """
        if self.model.uses_previous:
            self._previous = np.array(self._scored(observations))


class VecRNDBonus(VecNoveltyBonus):
    """`hxwrappers.RNDBonus` for a Stable-Baselines3 vector environment.

    One model for all environments, scored and trained in batches. Keep `Monitor` or `VecMonitor`
    inside, so that episode returns stay extrinsic, and `VecNormalize(norm_reward=True)` away: it
    would rescale both rewards together.

    Args:
        venv: The vector environment.
        model: As in `hxwrappers.RNDBonus`, like all further arguments.
        coefficient: Scale of the bonus in the reward, 0 or more.
        observation_key: As in `hxwrappers.RNDBonus`.
        **settings: Settings of a new model, see `RNDModel`.

    Raises:
        InvalidArgumentError: The observations cannot be scored, or are not those of the given
            model.
        InvalidArgumentError: An argument is out of range, or `venv` is no `VecEnv`.
        CheckpointError: The saved model is unreadable or of another kind.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> envs = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8)
        >>> model = PPO("MlpPolicy", envs, n_steps=16, batch_size=16).learn(32)
    """

    model_class = RNDModel

    def __init__(
        self,
        venv: VecEnv,
        model: RNDModel | str | os.PathLike[str] | None = None,
        coefficient: float = 1.0,
        observation_key: str | None = None,
        **settings: Unpack[NoveltySettings],
    ) -> None:
        super().__init__(venv, model, coefficient, observation_key, settings)


class VecCNDBonus(VecNoveltyBonus):
    """`hxwrappers.CNDBonus` for a Stable-Baselines3 vector environment.

    One model for all environments, scored and trained in batches. Keep `Monitor` or `VecMonitor`
    inside, so that episode returns stay extrinsic, and `VecNormalize(norm_reward=True)` away: it
    would rescale both rewards together.

    Arguments and errors are those of `VecRNDBonus`, but the model is a `CNDModel`, made with
    `CNDSettings`, and the coefficient 0.5.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> envs = VecCNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8)
        >>> model = PPO("MlpPolicy", envs, n_steps=16, batch_size=16).learn(32)
    """

    model_class = CNDModel

    def __init__(
        self,
        venv: VecEnv,
        model: CNDModel | str | os.PathLike[str] | None = None,
        coefficient: float = 0.5,
        observation_key: str | None = None,
        **settings: Unpack[CNDSettings],
    ) -> None:
        super().__init__(venv, model, coefficient, observation_key, settings)
