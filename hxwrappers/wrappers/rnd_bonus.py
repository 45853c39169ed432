"""Novelty bonus by random network distillation, for one environment."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
from typing_extensions import Unpack

from hxwrappers.novelty import NoveltySettings, RNDModel
from hxwrappers.wrappers._bonus import NoveltyBonus


class RNDBonus(NoveltyBonus):
    """Adds a bonus for observations that are new, by random network distillation.

    Burda et al. 2018, arXiv 1810.12894. The reward becomes
    `reward + coefficient * bonus`. `info["extrinsic_reward"]` keeps the environment's own reward,
    `info["intrinsic_reward"]` is the bonus before the coefficient, and `info["reward_bonus"]` is
    what was added. Put `Monitor` or `RecordEpisodeStatistics` inside this wrapper, so that episode
    returns stay extrinsic. The model learns online; with `training = False` it does not learn from
    this environment.

    For several environments use `hxwrappers.vector.RNDBonus` or `hxwrappers.sb3.VecRNDBonus`,
    which share one model and score in batches, or hand one `RNDModel` to all the wrappers.

    Args:
        env: The environment; its observations may be of any space with a fixed size.
        model: A model to share, the path of a saved one, or None for a new one.
        coefficient: Scale of the bonus in the reward, 0 or more.
        observation_key: Which part of a Dict observation is scored, `"camera"` or `"camera/left"`.
            None scores the part with two dimensions or more where there is one, else everything.
        **settings: Settings of a new model, see `RNDModel`.

    Raises:
        InvalidArgumentError: The observations cannot be scored, or are not those of the given
            model.
        InvalidArgumentError: An argument is out of range.
        CheckpointError: The saved model is unreadable or of another kind.

    Example:
        >>> env = RNDBonus(gym.make("CartPole-v1"), warmup_steps=1, update_every=4)
        >>> observation, info = env.reset(seed=0)
        >>> for _ in range(8):
        ...     observation, reward, terminated, truncated, info = env.step(0)
        >>> info["extrinsic_reward"], info["intrinsic_reward"] > 0
        (1.0, True)
    """

    model_class = RNDModel

    def __init__(
        self,
        env: gym.Env[Any, Any],
        model: RNDModel | str | os.PathLike[str] | None = None,
        coefficient: float = 1.0,
        observation_key: str | None = None,
        **settings: Unpack[NoveltySettings],
    ) -> None:
        super().__init__(env, model, coefficient, observation_key, settings)
