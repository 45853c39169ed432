"""The self-imitation of given steps beside PPO: the gradient that it adds, ways as its steps."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers.files.generators import own_generator
from hxwrappers.novelty.networks import learning
from hxwrappers.novelty.starts import Point, Way
from hxwrappers.sb3.layers import map_parts
from hxwrappers.sb3.novelty_resets import require_resets
from hxwrappers.sb3.policies import DualValuePolicy, held


class Stretch(NamedTuple):
    """Some steps to imitate, as the agent would have taken them.

    Attributes:
        observations: As the policy takes them, `(steps, ...)`, or a dict of these.
        actions: Those taken, `(steps, ...)`.
        returns: Discounted, from each step on, `(steps,)`.
        imitated: False for steps that are only there for a hidden state, `(steps,)`.
    """

    observations: Any
    actions: Tensor
    returns: Tensor
    imitated: Tensor

    def at(self, rows: Tensor) -> Stretch:
        """Some of the steps."""
        parts = (map_parts(part, lambda all_rows: all_rows[rows]) for part in self)
        return Stretch(*parts)


class SelfImitation(BaseCallback):
    """Adds the gradient of a self-imitation loss to each update of an on-policy trainer.

    Args:
        weight: Of the whole term; published 0.1.
        value_weight: Of the value loss in it; published 0.01.
        entropy_weight: Of the entropy in it; published 1e-5.
        batch_size: Steps in each update; recurrent policies take a whole stretch.
        seed: Seed of what is drawn.

    Raises:
        InvalidArgumentError: A number is out of range.
    """

    def __init__(
        self,
        weight: float = 0.1,
        value_weight: float = 0.01,
        entropy_weight: float = 1e-5,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_range("weight", weight, minimum=0.0)
        require_range("value_weight", value_weight, minimum=0.0)
        require_range("entropy_weight", entropy_weight, minimum=0.0)
        require_count("batch_size", batch_size, 1)
        self.weight, self.value_weight = weight, value_weight
        self.entropy_weight = entropy_weight
        self.batch_size, self.seed = batch_size, seed
        self._stretches: list[Stretch] = []
        self._losses: list[float] = []
        self._generator = own_generator(seed, "SelfImitation")
        self._hook: Any = None

    @abstractmethod
    def collect(self) -> list[Stretch]:
        """The steps to imitate while the trainer learns from the rollout that now begins."""

    @property
    def device(self) -> torch.device:
        """Where the policy is."""
        return self.model.device

    def _on_training_start(self) -> None:
        self._remove_hook()  # that of a training which an error ended
        optimizer = self.model.policy.optimizer
        self._hook = optimizer.register_step_pre_hook(lambda *_: self._add_gradient())

    def _on_training_end(self) -> None:
        self._remove_hook()
        self._stretches = []

    def _remove_hook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
        self._hook = None

    def _on_rollout_start(self) -> None:
        # From the number of steps, so that there is nothing to save and resume.
        self._generator = own_generator(self.seed, "SelfImitation", self.num_timesteps)
        if self._losses:
            self.logger.record("curriculum/imitation_loss", float(np.mean(self._losses)))
        self._losses = []
        self._stretches = self.collect()

    def _on_step(self) -> bool:
        return True

    def _evaluate(self, observations: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, log probabilities and entropies; of recurrent policies those of one sequence."""
        policy: Any = self.model.policy
        if isinstance(self.model.action_space, spaces.MultiBinary):
            actions = actions.float()  # as torch's likelihood of coins wants them
        context: tuple[Any, ...] = ()
        if isinstance(policy, RecurrentActorCriticPolicy):
            lstm = policy.lstm_actor
            zeros = torch.zeros(lstm.num_layers, 1, lstm.hidden_size, device=self.device)
            starts = torch.zeros(len(actions), device=self.device)
            context = (RNNStates((zeros, zeros), (zeros, zeros)), starts)
        # Masks of the rollout do not fit these actions.
        has_masks = isinstance(policy, DualValuePolicy)
        with held(policy, learning_masks=None) if has_masks else nullcontext():
            values, log_prob, entropy = policy.evaluate_actions(observations, actions, *context)
        # The first column is the value of the extrinsic rewards, where there are two.
        return values.reshape(len(actions), -1)[:, 0], log_prob, entropy

    def _add_gradient(self) -> None:
        """Add the gradient of the term to that which the trainer is about to follow."""
        if not self._stretches or not self.weight:
            return
        stretch = self._stretches[int(self._generator.integers(len(self._stretches)))]
        rows = stretch.imitated
        if not isinstance(self.model.policy, RecurrentActorCriticPolicy):
            drawn = self._generator.integers(len(stretch.actions), size=self.batch_size)
            picked = torch.as_tensor(drawn, device=self.device)
            stretch, rows = stretch.at(picked), rows[picked]
        with learning():
            values, log_prob, entropy = self._evaluate(stretch.observations, stretch.actions)
            loss = self.weight * imitation_loss(
                log_prob[rows],
                values[rows],
                stretch.returns[rows],
                None if entropy is None else entropy[rows],
                value_weight=self.value_weight,
                entropy_weight=self.entropy_weight,
            )
            loss.backward()  # type: ignore[no-untyped-call]
        self._losses.append(float(loss.detach()))
        limit = getattr(self.model, "max_grad_norm", None)
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(self.model.policy.parameters(), limit)


def imitation_loss(
    log_prob: Tensor,
    values: Tensor,
    returns: Tensor,
    entropy: Tensor | None = None,
    *,
    value_weight: float = 0.01,
    entropy_weight: float = 1e-5,
) -> Tensor:
    """The loss of self-imitation, the mean over steps (Oh et al. 2018, arXiv 1806.05635).

    With `gain = max(0, return - value)` it is `-log_prob * gain + value_weight * gain**2 / 2 -
    entropy_weight * entropy`; in its first part the gain is a number, through which no gradient
    goes.

    Args:
        log_prob: Of the actions taken, `(steps,)`.
        values: What the agent expects, `(steps,)`.
        returns: What was earned from there on, `(steps,)`.
        entropy: Of the policy, `(steps,)`; None takes `-log_prob`.
        value_weight: Weight of the value loss.
        entropy_weight: Weight of the entropy.

    Example:
        >>> log_prob, values = torch.tensor([-1.0, -2.0]), torch.tensor([0.5, 3.0])
        >>> imitation_loss(log_prob, values, torch.tensor([1.0, 1.0]), value_weight=1.0,
        ...                entropy_weight=0.0)
        tensor(0.3125)
    """
    gain = (returns - values).clamp(min=0.0)
    spread = -log_prob if entropy is None else entropy
    losses = -log_prob * gain.detach() + value_weight * 0.5 * gain.square()
    return (losses - entropy_weight * spread).mean()


class WayImitation(SelfImitation):
    """Lets PPO imitate the demonstrations whose ways episodes start on.

    Self-imitation (Oh et al. 2018, arXiv 1806.05635) of what was given to
    `VecNoveltyResets.add_demo`, by the user or by `WaySearch`, as Go-Explore learns from what its
    search has found (Ecoffet et al. 2021, arXiv 2004.12919). In every update of the policy the
    gradient of `imitation_loss` on a minibatch of these steps is added to the trainer's own. Steps
    that the agent expects to do better than count nothing, so it is not held to a detour. Nothing
    is saved, and a resumed run goes on exactly.

    Args:
        weight: Of the whole term; published 0.1.
        value_weight: Of the value loss in it; published 0.01.
        entropy_weight: Of the entropy in it; published 1e-5.
        batch_size: Steps of ways in each update.
        seed: Seed of the minibatches.

    Raises:
        InvalidArgumentError: A number is out of range, or, when training begins, there is no
            `VecNoveltyResets`.

    Example:
        >>> from hxwrappers.demos import shipped
        >>> from hxwrappers.envs import make_atari
        >>> from hxwrappers.sb3 import DualValuePPO, VecNoveltyResets, VecRNDBonus, from_vector_env
        >>> games = make_atari("montezuma_revenge", screen_size=42, num_envs=2, num_workers=0,
        ...                    backend="restorable")
        >>> envs = VecNoveltyResets(VecRNDBonus(from_vector_env(games), net="compact"))
        >>> envs.add_demo(shipped("montezuma-first-key"))
        >>> model = DualValuePPO("CnnPolicy", envs, n_steps=16, batch_size=16)
        >>> model = model.learn(32, callback=WayImitation())
    """

    _ways: list[Way] | None = None
    _imitated: Stretch | None = None

    def collect(self) -> list[Stretch]:
        """The demonstrated steps of all ways that are known now."""
        ways = require_resets(self.training_env, "WayImitation").archive.ways
        if self._ways != ways or self.model.get_vec_normalize_env() is not None:
            self._ways = list(ways)
            self._imitated = self._stretch()
        return [] if self._imitated is None else [self._imitated]

    def _stretch(self) -> Stretch | None:
        model = cast(Any, self.model)
        clip = getattr(model, "extrinsic_clip", None)
        # Ways that the agent found go on from points on the others: each point counts once.
        shown: dict[Point, float] = {}
        for way in self._ways or []:
            following = way.returns(model.gamma, clip)
            for point, earned in zip(way.end.way(), following, strict=True):
                if point.action is not None:
                    shown[point] = max(earned, shown.get(point, earned))
        if not shown:
            return None
        observations = np.stack([point.snapshot.observation for point in shown])
        if (normalize := model.get_vec_normalize_env()) is not None:
            observations = normalize.normalize_obs(observations)
        return Stretch(
            model.policy.obs_to_tensor(observations)[0],
            torch.as_tensor([point.action for point in shown], device=self.device),
            torch.as_tensor(list(shown.values()), dtype=torch.float32, device=self.device),
            torch.ones(len(shown), dtype=torch.bool, device=self.device),
        )
