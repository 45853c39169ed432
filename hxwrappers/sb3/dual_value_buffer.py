"""Rollout buffers for an extrinsic and an intrinsic value function, which keep each frame once."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from torch import Tensor


class StackedFrames:
    """Observations of a rollout whose channels are frames, each frame kept once.

    An observation of four frames shows three of the one before it again. Where that is so, only
    the newest frame is kept; where it is not (at the start of an episode or a rollout), all of
    them are. Nothing is assumed: what is read is what was written, whatever the environment does.
    A rollout of 128 steps, 512 environments and four frames of 84x84 takes 0.5 GB rather than 1.9.

    Args:
        steps: Steps of a rollout.
        num_envs: Environments.
        shape: Shape of an observation, `(frames, height, width)`.
        dtype: Its dtype.

    Example:
        >>> frames = StackedFrames(2, 1, (2, 1, 1), np.dtype(np.uint8))
        >>> frames[0] = np.array([[[[1]], [[2]]]], np.uint8)
        >>> frames[1] = np.array([[[[2]], [[3]]]], np.uint8)
        >>> frames[np.array([1, 0])].ravel().tolist(), frames.kept
        ([2, 3, 1, 2], 3)
    """

    def __init__(self, steps: int, num_envs: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._steps, self._num_envs = steps, num_envs
        depth = shape[0]
        # Room for the first stacks and for episodes that begin; it grows where they are many.
        self._pool = np.empty(((steps + 2 * depth) * num_envs, *shape[1:]), dtype)
        self._rows = np.zeros((steps, num_envs, depth), np.int64)
        self._last = np.zeros((num_envs, *shape), dtype)
        self.kept = 0

    def clear(self) -> None:
        """Forget all observations."""
        self.kept = 0

    def __setitem__(self, step: int, observations: np.ndarray) -> None:
        """Keep the observations of one step, shape `(num_envs, *shape)`; steps come in order."""
        depth = observations.shape[1]
        follows = np.zeros(self._num_envs, np.bool_)
        if step > 0:
            # A column of bytes that differs anywhere is enough to tell.
            same = self._last[:, 1:] == observations[:, :-1]
            follows = same.reshape(self._num_envs, -1).all(axis=1)
        self._last = observations.copy()
        rows = self._rows[step]
        if step > 0:
            rows[follows, :-1] = self._rows[step - 1][follows, 1:]
            rows[follows, -1] = self._keep(observations[follows, -1])
        anew = ~follows
        number = int(anew.sum())
        if number:
            stacks = observations[anew]
            kept = self._keep(stacks.reshape(number * depth, *stacks.shape[2:]))
            rows[anew] = kept.reshape(number, depth)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """Observations by their place in the rollout flattened environment by environment."""
        rows = self._rows[indices % self._steps, indices // self._steps]
        observations: np.ndarray = self._pool[rows]
        return observations

    def _keep(self, frames: np.ndarray) -> np.ndarray:
        start, end = self.kept, self.kept + len(frames)
        if end > len(self._pool):
            more = np.empty(
                (max(end, len(self._pool) * 3 // 2), *self._pool.shape[1:]), self._pool.dtype
            )
            more[:start] = self._pool[:start]
            self._pool = more
        self._pool[start:end] = frames
        self.kept = end
        return np.arange(start, end)


class _DualValue(RolloutBuffer):
    """Keeps intrinsic values and returns beside the extrinsic ones.

    Stable-Baselines3's PPO computes one value loss over `returns` and `old_values`. A minibatch
    therefore hands it the extrinsic and the intrinsic ones interleaved, as the policy does with
    its values, so that the loss is the mean of both.
    """

    masks: np.ndarray | None = None
    """Which actions were legal, bool, `(steps, n_envs, entries)`; None where all were."""
    batch_masks: Tensor
    """Those of the minibatch that was read last."""

    def reset(self) -> None:
        """Empty the buffer."""
        self.masks = None
        frames = self._stacked_frames()
        if frames is None:
            super().reset()
        else:
            # Stable-Baselines3 would make an array of whole stacks, which nobody needs.
            shape, self.obs_shape = self.obs_shape, (0,)
            super().reset()
            self.obs_shape = shape
            frames.clear()
            self.observations = cast(np.ndarray, frames)
        # A buffer of its own for the intrinsic side, for its arithmetic of returns.
        self.intrinsic = RolloutBuffer(
            self.buffer_size,
            spaces.Box(0, 0, (1,)),
            spaces.Discrete(1),
            self.device,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
        )

    def _stacked_frames(self) -> StackedFrames | None:
        """Where frames are kept once, if observations are stacks of them."""
        space = self.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 3 or space.shape[0] < 2:
            return None
        if not hasattr(self, "_frames"):
            dtype = np.dtype(space.dtype)
            self._frames = StackedFrames(self.buffer_size, self.n_envs, space.shape, dtype)
        return self._frames

    @staticmethod
    def swap_and_flatten(arr: np.ndarray) -> np.ndarray:
        """As Stable-Baselines3's; frames that are kept once are flattened when they are read."""
        return arr if isinstance(arr, StackedFrames) else RolloutBuffer.swap_and_flatten(arr)

    def add(
        self,
        obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        episode_start: np.ndarray,
        value: Tensor,
        log_prob: Tensor,
    ) -> None:
        """Add one step of all environments; `value` has two columns, extrinsic and intrinsic."""
        self.intrinsic.values[self.pos] = value[:, 1].cpu().numpy()
        super().add(obs, action, reward, episode_start, value[:, 0], log_prob)

    def combine(
        self,
        intrinsic_rewards: np.ndarray,
        last_values: Tensor,
        dones: np.ndarray,
        *,
        gamma: float,
        episodic: bool,
        coefficients: tuple[float, float],
    ) -> None:
        """Compute the intrinsic returns, and mix both advantages into `advantages`.

        Args:
            intrinsic_rewards: Shape `(steps, envs)`.
            last_values: Intrinsic values of the observations after the last step, `(envs, 1)`.
            dones: Whether the last step ended an episode, shape `(envs,)`.
            gamma: Discount of the intrinsic rewards.
            episodic: Whether intrinsic returns end with the episode.
            coefficients: Weights of the extrinsic and the intrinsic advantages.
        """
        intrinsic = self.intrinsic
        intrinsic.gamma = gamma
        intrinsic.rewards = intrinsic_rewards
        if episodic:
            intrinsic.episode_starts = self.episode_starts
        intrinsic.compute_returns_and_advantage(
            last_values, dones if episodic else np.zeros_like(dones)
        )
        extrinsic_weight, intrinsic_weight = coefficients
        mixed = extrinsic_weight * self.advantages + intrinsic_weight * intrinsic.advantages
        self.advantages = mixed.astype(np.float32)

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Minibatches in random order."""
        if not self.generator_ready:
            self._flat_values = self.swap_and_flatten(self.intrinsic.values).ravel()
            self._flat_returns = self.swap_and_flatten(self.intrinsic.returns).ravel()
            if self.masks is not None:
                self._flat_masks = self.swap_and_flatten(self.masks)
        yield from super().get(batch_size)

    def _get_samples(self, batch_inds: np.ndarray, env: Any = None) -> Any:
        samples = super()._get_samples(batch_inds, env)
        if self.masks is not None:
            self.batch_masks = torch.from_numpy(self._flat_masks[batch_inds]).to(self.device)
        values = self.to_torch(self._flat_values[batch_inds])
        returns = self.to_torch(self._flat_returns[batch_inds])
        return samples._replace(
            old_values=torch.stack([samples.old_values, values], dim=1).flatten(),
            returns=torch.stack([samples.returns, returns], dim=1).flatten(),
        )


class DualValueRolloutBuffer(_DualValue):
    """Rollout buffer of `DualValuePPO`.

    Example:
        >>> box, actions = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)
        >>> DualValueRolloutBuffer(4, box, actions, n_envs=2).intrinsic.values.shape
        (4, 2)
    """


class DualValueDictRolloutBuffer(_DualValue, DictRolloutBuffer):
    """Rollout buffer of `DualValuePPO` for Dict observations.

    Example:
        >>> observations = spaces.Dict(image=spaces.Box(0, 255, (7, 7, 3)))
        >>> buffer = DualValueDictRolloutBuffer(4, observations, spaces.Discrete(2), n_envs=2)
        >>> buffer.intrinsic.returns.shape
        (4, 2)
    """
