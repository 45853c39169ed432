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

_LARGEST_RANGE = 1e6
"""Bounds that are further apart only say that there are none."""


class InputNormalizer:
    """Standardises frames by running moments of each element, or scales them to [0, 1].

    Args:
        layout: What frames look like.
        standardize: Whether to use running moments; otherwise each element is scaled to [0, 1] by
            its bounds in the space, or left alone where these are further apart than a million.
        clip: Bound of standardised inputs.
        floor: Smallest deviation to divide by.
        device: Where the frames lie.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        standardize: bool,
        clip: float,
        device: torch.device,
        floor: float = 0.0,
    ) -> None:
        self._layout = layout
        self._standardize = standardize
        self._clip = clip
        self._floor = floor
        self._moments = RunningMoments(layout.frame_shape, device)
        self._refresh()

    def __call__(self, frames: Tensor) -> Tensor:
        """Inputs of shape `(batch, *frame_shape)`, float32, images with channels last in memory."""
        # One pass makes the numbers, the others work on them in place.
        if frames.dtype == torch.float64:  # float32 may not tell large numbers apart
            inputs = torch.sub(frames, self._exact[0]).mul_(self._exact[1]).to(torch.float32)
        else:
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
            variance = self._moments.variance.clamp(min=self._floor**2)
            shift, scale = self._moments.mean, (variance + 1e-8).rsqrt()
        else:
            shift, scale = self._by_bounds()
        self._exact = shift, scale
        self._shift, self._scale = shift.to(torch.float32), scale.to(torch.float32)

    def _by_bounds(self) -> tuple[Tensor, Tensor]:
        space, device = self._layout.box, self._moments.mean.device
        low, high = (
            self._layout.newest(torch.from_numpy(np.asarray(bound, np.float64)[None])).to(device)
            for bound in (space.low, space.high)
        )
        bounded = high - low <= _LARGEST_RANGE  # not so where a bound is infinite, either
        width = (high - low).clamp(min=1e-8)
        return (
            torch.where(bounded, low, 0.0).reshape(self._layout.frame_shape),
            torch.where(bounded, 1.0 / width, 1.0).reshape(self._layout.frame_shape),
        )
