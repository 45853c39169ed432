"""Comparable numbers of an observation: each divided by how much it varies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hxwrappers.search.views import Frames, View

_FIRST = 64


class Scale:
    """Divides numbers by their standard deviation; signatures of pictures stay as they are.

    The deviations are taken over at 64 explorations and whenever their number has doubled since, so
    that distances stay the same in between.

    Args:
        view: What the states look like.
        size: Numbers of a vector.
    """

    def __init__(self, view: View, size: int) -> None:
        self._fixed = isinstance(view, Frames)
        self._count, self._due = 0, _FIRST
        self._mean, self._squares = np.zeros(size), np.zeros(size)
        self._factors = np.ones(size, np.float32)

    def scaled(self, vector: npt.NDArray[Any] | None) -> npt.NDArray[np.float32]:
        """A vector in the scale as it is now; it counts for the next one."""
        assert vector is not None, "only states are scaled"
        if self._fixed:
            return vector
        self._count += 1
        step = vector - self._mean
        self._mean += step / self._count
        self._squares += step * (vector - self._mean)
        scaled: npt.NDArray[np.float32] = (vector * self._factors).astype(np.float32)
        return scaled

    def due(self, explorations: int) -> npt.NDArray[np.float32] | None:
        """What to multiply all scaled vectors by now, or None where the scale stays."""
        if self._fixed or explorations < self._due:
            return None
        self._due = 2 * explorations
        deviation = np.sqrt(self._squares / max(self._count, 1))
        # What has never varied tells nothing apart, but may begin to: it keeps its own unit then.
        factors = np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 1)
        changed = (factors / self._factors).astype(np.float32)
        self._factors = factors.astype(np.float32)
        return changed

    def state_dict(self) -> dict[str, Any]:
        """All that it has counted."""
        return {
            "count": self._count,
            "due": self._due,
            "mean": torch.from_numpy(self._mean.copy()),
            "squares": torch.from_numpy(self._squares.copy()),
            "factors": torch.from_numpy(self._factors.copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become what `state_dict` gave.

        Raises:
            ValueError: It is of vectors of another size.
        """
        parts = [state[name].numpy().copy() for name in ("mean", "squares", "factors")]
        if any(part.shape != self._mean.shape for part in parts):
            raise ValueError("a scale of vectors of another size")
        self._count, self._due = int(state["count"]), int(state["due"])
        self._mean, self._squares, self._factors = parts
