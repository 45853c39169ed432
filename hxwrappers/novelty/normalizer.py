"""From raw frames to the inputs of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hxwrappers.novelty.moments import RunningMoments
from hxwrappers.novelty.observations import ObservationLayout

__all__ = ["InputNormalizer"]


class InputNormalizer:
    """Standardises frames by running moments of each element, or scales them to [0, 1].

    Args:
        layout: What frames look like.
        standardize: Whether to use running moments; otherwise frames are scaled to [0, 1] by the
            bounds of the space, or left alone where it has none.
        clip: Bound of standardised inputs.
        device: Where the frames lie.
    """

    def __init__(
        self, layout: ObservationLayout, standardize: bool, clip: float, device: torch.device
    ) -> None:
        self._layout = layout
        self._standardize = standardize
        self._clip = clip
        self._moments = RunningMoments(layout.frame_shape, device)
        self._refresh()

    def __call__(self, frames: Tensor) -> Tensor:
        """Inputs of shape `(batch, *frame_shape)`, float32, images with channels last in memory."""
        # One pass makes the numbers, the others work on them in place.
        inputs = torch.sub(frames.to(torch.float32), self._shift).mul_(self._scale)
        if self._standardize:
            inputs = inputs.clamp_(-self._clip, self._clip)
        if self._layout.is_image:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def update(self, frames: Tensor) -> None:
        """Take frames into the moments."""
        if not self._standardize:
            return
        for start in range(0, len(frames), 1024):  # bounds the memory of the float64 copy
            self._moments.update(frames[start : start + 1024])
        self._refresh()

    def state_dict(self) -> dict[str, Any]:
        """The moments."""
        return self._moments.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._moments.load_state_dict(state)
        self._refresh()

    def _refresh(self) -> None:
        if self._standardize:
            self._shift = self._moments.mean.to(torch.float32)
            self._scale = (self._moments.variance + 1e-8).rsqrt().to(torch.float32)
            return
        space = self._layout.space
        bounded = bool(np.isfinite(space.low).all() and np.isfinite(space.high).all())
        low, high = (float(space.low.min()), float(space.high.max())) if bounded else (0.0, 1.0)
        device = self._moments.mean.device
        self._shift = torch.tensor(low, device=device)
        self._scale = torch.tensor(1.0 / max(high - low, 1e-8), device=device)
