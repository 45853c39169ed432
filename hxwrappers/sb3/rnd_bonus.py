"""Novelty bonus by random network distillation, for Stable-Baselines3."""

from __future__ import annotations

import os

from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import Unpack

from hxwrappers.novelty.rnd import RNDModel
from hxwrappers.novelty.settings import NoveltySettings
from hxwrappers.sb3._bonus import VecNoveltyBonus

__all__ = ["VecRNDBonus"]


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
        InvalidSpaceError: The observations cannot be scored, or are not those of the given model.
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
