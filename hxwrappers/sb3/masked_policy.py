"""Policies that keep to action masks, and what hands them the masks in a rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor

from hxwrappers.bridge.actions import MASK_METHOD, find_stickiness, flat_mask, is_legal
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.layers import PassThrough

_NEVER = 1e8
"""Logits of what is not legal, as in sb3-contrib's MaskablePPO: far enough for a chance of 0."""


class MaskedPolicy(ActorCriticPolicy):
    """A policy that gives no chance to actions that a mask forbids (Huang & Ontanon 2020).

    Attributes:
        acting_masks: Asked by `forward`, which acts in rollouts, for masks of the batch.
        learning_masks: Asked by `evaluate_actions`.
    """

    acting_masks: Callable[[], Tensor] | None = None
    learning_masks: Callable[[], Tensor] | None = None
    _masks: Tensor | None = None

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Act; see the base class."""
        with self._masked_by(None if self.acting_masks is None else self.acting_masks()):
            return super().forward(obs, deterministic)

    @contextmanager
    def without_learning_masks(self) -> Iterator[None]:
        """Evaluate actions that are not those of the rollout, whose masks do not fit them."""
        held, self.learning_masks = self.learning_masks, None
        try:
            yield
        finally:
            self.learning_masks = held

    def evaluate_actions(
        self, obs: PyTorchObs, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, log probabilities and entropies; see the base class."""
        with self._masked_by(None if self.learning_masks is None else self.learning_masks()):
            return super().evaluate_actions(obs, actions)

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: npt.ArrayLike | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Choose actions, of those that `action_masks` allows; see the base class."""
        masks = None if action_masks is None else torch.as_tensor(action_masks, device=self.device)
        with self._masked_by(masks):
            return super().predict(observation, state, episode_start, deterministic)

    @contextmanager
    def _masked_by(self, masks: Tensor | None) -> Iterator[None]:
        before, self._masks = self._masks, masks
        try:
            yield
        finally:
            self._masks = before

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        if self._masks is None:
            return super()._get_action_dist_from_latent(latent_pi)
        logits = self.action_net(latent_pi)
        legal = self._masks.reshape(len(logits), -1).bool()
        if isinstance(self.action_space, spaces.MultiBinary):
            logits = logits.masked_fill(~legal[:, 0::2], _NEVER)  # 0 is not legal
            logits = logits.masked_fill(~legal[:, 1::2], -_NEVER)
        else:
            logits = logits.masked_fill(~legal, -_NEVER)
        return self.action_dist.proba_distribution(logits)


class MaskWitness(PassThrough):
    """Keeps the masks of a rollout, and sees that its environments execute what is legal.

    Args:
        venv: Environments with a method `action_masks`.

    Raises:
        InvalidArgumentError: Something in the environments repeats actions without a look at masks.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.kept: list[npt.NDArray[np.bool_]] = []
        name = find_stickiness(venv)
        if name not in {None, "StickyActions", "VecStickyActions"}:
            raise InvalidArgumentError(
                f"The environment masks its actions, and {name} repeats some without a look at the "
                "masks. Put hxwrappers.sb3.VecStickyActions around it in its place."
            )

    def ask(self) -> Tensor:
        """The masks of the environments as they are now, bool, `(num_envs, entries)`."""
        space = self.action_space
        masks = np.stack([flat_mask(mask, space) for mask in self.venv.env_method(MASK_METHOD)])
        self.kept.append(masks)
        return torch.from_numpy(masks)

    def step_wait(self) -> VecEnvStepReturn:
        """Step; an illegal action that was repeated is an error."""
        result = self.venv.step_wait()
        for info, mask in zip(result[3], self.kept[-1], strict=True):
            repeated = info.get("sticky_action", False)
            if repeated and not is_legal(info["executed_action"], mask, self.action_space):
                raise InvalidArgumentError(
                    "Sticky actions repeated an action that is not legal, since they lie inside of "
                    "what masks the actions. Put VecStickyActions around the vector environment."
                )
        return result
