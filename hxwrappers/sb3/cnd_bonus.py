"""Novelty bonus by contrastive network distillation, for Stable-Baselines3."""

from __future__ import annotations

import os

from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import Unpack

from hxwrappers.novelty.cnd import CNDModel
from hxwrappers.novelty.settings import CNDSettings
from hxwrappers.sb3._bonus import VecNoveltyBonus

__all__ = ["VecCNDBonus"]


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
