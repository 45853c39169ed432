"""Novelty bonuses for vector environments."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, cast

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor
from typing_extensions import Unpack

from hxwrappers.bridge.bonuses import add_info_entries, with_tensor_entries
from hxwrappers.bridge.environments import (
    AnyVectorWrapper,
    autoreset_mode,
    reached_tensors,
    real_next_observations,
    require_full_batches,
    reset_lanes,
)
from hxwrappers.bridge.model_holder import ModelHolder, seeded_copy
from hxwrappers.novelty import CNDModel, CNDSettings, NoveltyModel, NoveltySettings, RNDModel


class NoveltyBonus(ModelHolder, AnyVectorWrapper):
    """Adds a novelty bonus to the rewards of a vector environment; see `RNDBonus`."""

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        model: NoveltyModel | str | os.PathLike[str] | None,
        coefficient: float,
        observation_key: str | None,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(env)
        self._mode = autoreset_mode(env)
        require_full_batches(env)
        self._hold(
            env,
            model,
            coefficient,
            env.single_observation_space,
            observation_key,
            settings,
            env.num_envs,
        )
        self._resetting = np.zeros(env.num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environments; a seed also seeds a model that has not learned anything yet."""
        self._watch()
        lanes = reset_lanes(self.env, options)
        observations, infos = self.env.reset(seed=cast(Any, seed), options=options)
        self._seed_model(seed[0] if isinstance(seed, list) else seed)
        self._remember(observations)
        self._resetting &= ~lanes
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step, and add the coefficient times the bonus of each observation reached.

        Tensors stay where they are: from an environment that holds tensors on a GPU, observations
        are scored and rewards returned there.
        """
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        part = self._scored(observations)
        extrinsic: Any
        if isinstance(part, Tensor):
            over = torch.logical_or(terminations, truncations)
            if self._mode is AutoresetMode.SAME_STEP:
                part = reached_tensors(part, over, infos, self._scored)
            extrinsic = rewards
        else:
            over = np.logical_or(terminations, truncations)
            if self._mode is AutoresetMode.SAME_STEP:
                part = real_next_observations(
                    part, over, infos, lambda final: self._scored_one(final)[0]
                )
            extrinsic = np.asarray(rewards, np.float64)
        real = ~self._resetting
        bonuses = self._bonuses(part, real, like=extrinsic)
        self._remember(observations)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._resetting = np.array(over.tolist(), np.bool_)
        added = self.coefficient * bonuses
        entries = {
            "extrinsic_reward": extrinsic,
            "intrinsic_reward": bonuses,
            "reward_bonus": added,
        }
        add = with_tensor_entries if isinstance(extrinsic, Tensor) else add_info_entries
        infos = add(infos, entries, real)
        return observations, extrinsic + added, terminations, truncations, infos

    def _bonuses(self, part: Any, real: np.ndarray, *, like: Any) -> Any:
        """Bonuses of what was reached in real steps, zero for the others."""
        if real.all():
            found = self._observe(part, self._streams, self._previous)
            return found.to(like) if isinstance(found, Tensor) else found.astype(like.dtype)
        bonuses = torch.zeros_like(like) if isinstance(like, Tensor) else np.zeros_like(like)
        if real.any():
            rows = np.flatnonzero(real)
            previous = None if self._previous is None else self._previous[rows]
            found = self._observe(part[rows], self._streams[rows], previous)
            bonuses[rows] = found.to(like) if isinstance(found, Tensor) else found
        return bonuses

    def state_dict(self) -> dict[str, Any]:
        """The model, with everything that it has learned, and where the environments are."""
        return {**super().state_dict(), "resetting": self._resetting.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; where the environments are, if they are as many.

        Raises:
            CheckpointError: The state is of another model, or incomplete.
        """
        super().load_state_dict(state)
        resetting = state.get("resetting", ())
        if len(resetting) == self.num_envs:
            self._resetting = np.array(resetting, np.bool_)

    def _random_steps(self, seed: int | None) -> Iterator[int]:
        actions = seeded_copy(self.action_space, seed)
        self.reset(seed=seed)
        for number in count(1):
            _, _, terminations, truncations, _ = self.step(actions.sample())
            yield number
            over = np.logical_or(terminations, truncations)
            if self._mode is AutoresetMode.DISABLED and over.any():
                self.reset(options={"reset_mask": over})

    def _remember(self, observations: Any) -> None:
        if self.model.uses_previous:
            part = self._scored(observations)
            self._previous = part.clone() if isinstance(part, Tensor) else np.array(part)


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
        InvalidArgumentError: The environment does not say how it resets.
        InvalidArgumentError: The observations cannot be scored, or are not those of the given
            model.
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
