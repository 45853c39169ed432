"""Batches of unrolls, put together in the learner's own memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hxwrappers.impala.layout import Layout
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
        layout: What an observation consists of.
        length: Steps in an unroll.
        batch_size: Unrolls in a batch.
        lstm: Units of the LSTM.
        device: Where batches are needed; memory for a GPU is pinned.
    """

    def __init__(
        self, layout: Layout, length: int, batch_size: int, lstm: int, device: torch.device
    ) -> None:
        self._device = device
        self._size = batch_size
        self._filled = 0
        unroll = UnrollShape(layout, length, batch_size, lstm).allocate()
        tensors = {name: torch.from_numpy(array) for name, array in unroll.arrays().items()}
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
