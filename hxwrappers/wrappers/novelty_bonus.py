"""Novelty bonuses for one environment: random and contrastive network distillation."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs
from typing_extensions import Unpack

from hxwrappers.bridge.bonuses import bonus_info
from hxwrappers.bridge.environments import require_env
from hxwrappers.bridge.model_holder import ModelHolder, seeded_copy
from hxwrappers.errors import SharedModelWarning
from hxwrappers.novelty import CNDModel, CNDSettings, NoveltyModel, NoveltySettings, RNDModel
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
        self._seed_model(seed)
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
