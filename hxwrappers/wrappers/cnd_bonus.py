"""Novelty bonus by contrastive network distillation, for one environment."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
from typing_extensions import Unpack

from hxwrappers.novelty import CNDModel, CNDSettings
from hxwrappers.wrappers._bonus import NoveltyBonus


class CNDBonus(NoveltyBonus):
    """Adds a bonus for observations that are new, by contrastive network distillation.

    "Exploration by self-supervised exploitation"; Pechac et al. 2023, arXiv 2302.11563. The reward
    becomes `reward + coefficient * bonus`. `info["extrinsic_reward"]` keeps the environment's own
    reward, `info["intrinsic_reward"]` is the bonus before the coefficient, and
    `info["reward_bonus"]` is what was added. Put `Monitor` or `RecordEpisodeStatistics` inside this
    wrapper, so that episode returns stay extrinsic. The model learns online; with
    `training = False` it does not learn from this environment.

    For several environments use `hxwrappers.vector.CNDBonus` or `hxwrappers.sb3.VecCNDBonus`,
    which share one model and score in batches, or hand one `CNDModel` to all the wrappers.

    Arguments and errors are those of `RNDBonus`, but the model is a `CNDModel`, made with
    `CNDSettings`, and the coefficient 0.5.

    Example:
        >>> env = CNDBonus(gym.make("CartPole-v1"), warmup_steps=1, update_every=4)
        >>> observation, info = env.reset(seed=0)
        >>> for _ in range(8):
        ...     observation, reward, terminated, truncated, info = env.step(0)
        >>> info["extrinsic_reward"], info["intrinsic_reward"] > 0
        (1.0, True)
    """

    model_class = CNDModel

    def __init__(
        self,
        env: gym.Env[Any, Any],
        model: CNDModel | str | os.PathLike[str] | None = None,
        coefficient: float = 0.5,
        observation_key: str | None = None,
        **settings: Unpack[CNDSettings],
    ) -> None:
        super().__init__(env, model, coefficient, observation_key, settings)
