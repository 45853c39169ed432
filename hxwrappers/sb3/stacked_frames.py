"""Storage of stacked frames that keeps each frame once."""

from __future__ import annotations

import numpy as np


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
