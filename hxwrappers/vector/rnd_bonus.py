"""Novelty bonus by random network distillation, for vector environments."""

from __future__ import annotations

import os
from typing import Any

from gymnasium.vector import VectorEnv
from typing_extensions import Unpack

from hxwrappers.novelty.rnd import RNDModel
from hxwrappers.novelty.settings import NoveltySettings
from hxwrappers.vector._bonus import NoveltyBonus

__all__ = ["RNDBonus"]


class RNDBonus(NoveltyBonus):
    """`hxwrappers.RNDBonus` for a vector environment: one model, scored and trained in batches.

    Equal to single wrappers that share one model, in all three autoreset modes: the dummy step of
    NEXT_STEP earns nothing and trains nothing, and the final observation of an episode is scored
    instead of the one after the reset. Works on `ale_py.vector_env.AtariVectorEnv`.

    Args:
        env: The vector environment.
        model: As in `hxwrappers.RNDBonus`, like all further arguments.
        coefficient: Scale of the bonus in the reward, 0 or more.
        observation_key: As in `hxwrappers.RNDBonus`.
        **settings: Settings of a new model, see `RNDModel`.

    Raises:
        AutoresetError: The environment does not say how it resets.
        InvalidSpaceError: The observations cannot be scored, or are not those of the given model.
        InvalidArgumentError: An argument is out of range.
        CheckpointError: The saved model is unreadable or of another kind.

    Example:
        >>> import gymnasium as gym
        >>> envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
        >>> envs = RNDBonus(envs, warmup_steps=1, update_every=4)
        >>> observations, infos = envs.reset(seed=0)
        >>> for _ in range(8):
        ...     _, rewards, _, _, infos = envs.step(envs.action_space.sample())
        >>> infos["extrinsic_reward"].tolist(), bool((infos["intrinsic_reward"] > 0).all())
        ([1.0, 1.0], True)
    """

    model_class = RNDModel

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        model: RNDModel | str | os.PathLike[str] | None = None,
        coefficient: float = 1.0,
        observation_key: str | None = None,
        **settings: Unpack[NoveltySettings],
    ) -> None:
        super().__init__(env, model, coefficient, observation_key, settings)
