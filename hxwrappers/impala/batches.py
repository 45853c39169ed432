"""Batches of unrolls, put together in the learner's own memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hxwrappers.impala.unrolls import OBSERVATION, Unroll, UnrollShape

__all__ = ["Batch", "BatchBuffer"]


@dataclass(frozen=True)
class Batch:
    """Unrolls side by side: as `Unroll`, with B unrolls in place of N environments."""

    observations: dict[str, Tensor]
    starts: Tensor
    state: Tensor
    actions: Tensor
    log_mus: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor
    final_values: Tensor


class BatchBuffer:
    """Memory for one batch, filled with one actor's unrolls after the other.

    Args:
        shape: The shape of a batch: that of an unroll of as many environments as a batch has
            unrolls.
        device: Where batches are needed; memory for a GPU is pinned.
    """

    def __init__(self, shape: UnrollShape, device: torch.device) -> None:
        self._device = device
        self._size = shape.num_envs
        self._filled = 0
        arrays = shape.allocate().arrays()
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if device.type == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        self._tensors = tensors
        self._arrays = {name: tensor.numpy() for name, tensor in tensors.items()}

    @property
    def is_full(self) -> bool:
        """Whether the batch is complete."""
        return self._filled == self._size

    def add(self, unroll: Unroll) -> None:
        """Copy an unroll of N environments into the next N columns."""
        count = unroll.actions.shape[1]
        columns = slice(self._filled, self._filled + count)
        for name, array in unroll.arrays().items():
            self._arrays[name][:, columns] = array
        self._filled += count

    def take(self) -> Batch:
        """Get the batch; it is overwritten when unrolls are added again."""
        self._filled = 0
        there = {
            name: tensor.to(self._device, non_blocking=True)
            for name, tensor in self._tensors.items()
        }
        observations = {
            name[len(OBSERVATION) :]: there.pop(name) for name in list(there) if OBSERVATION in name
        }
        return Batch(observations, **there)
