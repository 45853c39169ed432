"""Passes of networks over batches: in chunks that suit the device, in the chosen precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hxwrappers._precision import TimedPrecision

__all__ = ["Execution", "learning"]

# Frames per forward pass: on a CPU more of them fall out of the cache.
CPU_CHUNK = 64
GPU_CHUNK = 4096


@contextmanager
def learning() -> Iterator[None]:
    """Within it a model may learn, whatever mode its caller has put torch into.

    Agents are often run under `torch.no_grad()` or `torch.inference_mode()`, and step their
    environments there. A tensor made in the latter could never be trained with.

    Example:
        >>> with torch.inference_mode(), learning():
        ...     nn.Linear(2, 1)(torch.ones(1, 2)).sum().backward()
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield


class Execution(TimedPrecision):
    """Runs networks on a device.

    Args:
        device: The device.
        precision: `"float32"`, `"bfloat16"` for the products inside the networks, or `"auto"`.

    Example:
        >>> execution = Execution(torch.device("cpu"), "bfloat16")
        >>> execution.run(nn.Linear(3, 2), torch.ones(5, 3)).dtype
        torch.float32
    """

    def __init__(self, device: torch.device, precision: str) -> None:
        super().__init__(precision)
        self._device = device

    def chunks(self, rows: Tensor) -> list[Tensor]:
        """Parts of a batch, each for one pass; one of an empty batch."""
        size = CPU_CHUNK if self._device.type == "cpu" else GPU_CHUNK
        return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]

    def distil(
        self,
        predictor: nn.Module,
        target: nn.Module,
        frames: Tensor,
        weights: Tensor,
        normalize: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Add the gradient of the weighted squared errors to the predictor's, chunk by chunk.

        Args:
            predictor: Whose gradient it is.
            target: Whose outputs are to be guessed; it gets no gradient.
            frames: Frames, shape `(batch, ...)`.
            weights: Weight of each sample's errors, `(batch, features)`.
            normalize: Makes inputs of a chunk of frames, which the networks then find in the cache.

        Returns:
            The weighted sum of the squared errors.
        """
        total = torch.zeros((), device=self._device)
        for chunk, weight in zip(self.chunks(frames), self.chunks(weights), strict=True):
            inputs = normalize(chunk)
            with torch.no_grad():
                wanted = self.run(target, inputs)
            loss = ((self.run(predictor, inputs) - wanted).square() * weight).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total
