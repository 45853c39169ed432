"""Novelty bonus by contrastive network distillation, for vector environments."""

from __future__ import annotations

import os
from typing import Any

from gymnasium.vector import VectorEnv
from typing_extensions import Unpack

from hxwrappers.novelty.cnd import CNDModel
from hxwrappers.novelty.settings import CNDSettings
from hxwrappers.vector._bonus import NoveltyBonus

__all__ = ["CNDBonus"]


class CNDBonus(NoveltyBonus):
    """`hxwrappers.CNDBonus` for a vector environment: one model, scored and trained in batches.

    Equal to single wrappers that share one model, in all three autoreset modes: the dummy step of
    NEXT_STEP earns nothing and trains nothing, and the final observation of an episode is scored
    instead of the one after the reset. Works on `ale_py.vector_env.AtariVectorEnv`.

    Arguments and errors are those of `RNDBonus`, but the model is a `CNDModel`, made with
    `CNDSettings`, and the coefficient 0.5.

    Example:
        >>> import gymnasium as gym
        >>> envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
        >>> envs = CNDBonus(envs, warmup_steps=1, update_every=4)
        >>> observations, infos = envs.reset(seed=0)
        >>> for _ in range(8):
        ...     _, rewards, _, _, infos = envs.step(envs.action_space.sample())
        >>> infos["extrinsic_reward"].tolist(), bool((infos["intrinsic_reward"] > 0).all())
        ([1.0, 1.0], True)
    """

    model_class = CNDModel

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        model: CNDModel | str | os.PathLike[str] | None = None,
        coefficient: float = 0.5,
        observation_key: str | None = None,
        **settings: Unpack[CNDSettings],
    ) -> None:
        super().__init__(env, model, coefficient, observation_key, settings)
