"""Running moments, filtered rewards, and normalised network inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hxwrappers.novelty.observations import ObservationLayout

ROUNDING = 1e-6  # a deviation of so little of the mean is one of equal float32 numbers


class RunningMoments:
    """Mean and (population) variance of all the samples seen so far, element by element.

    Batches are merged by the parallel rule of Chan et al. (1979), in float64, on the device of
    the samples, so that constant pixels keep an exact mean. `gymnasium.wrappers.utils` has the
    same on the CPU only and without a `state_dict`.

    Args:
        shape: Shape of one sample; `()` for scalars.
        device: Where the moments live.

    Example:
        >>> moments = RunningMoments((2,))
        >>> moments.update(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
        >>> moments.mean.tolist(), moments.variance.tolist()
        ([1.0, 1.0], [1.0, 0.0])
    """

    def __init__(self, shape: tuple[int, ...], device: torch.device | str = "cpu") -> None:
        self.mean = torch.zeros(shape, dtype=torch.float64, device=device)
        self.variance = torch.ones(shape, dtype=torch.float64, device=device)
        self.count = 0

    def update(self, samples: Tensor) -> None:
        """Take in a batch of samples, shape `(batch, *shape)`; an empty batch changes nothing."""
        number = len(samples)
        if number == 0:
            return
        values = samples.to(self.mean.device, torch.float64)
        mean = values.mean(dim=0)
        variance = values.var(dim=0, correction=0)
        total = self.count + number
        shift = mean - self.mean
        squares = self.variance * self.count + variance * number
        self.variance = (squares + shift.square() * (self.count * number / total)) / total
        self.mean = self.mean + shift * (number / total)
        self.count = total

    def state_dict(self) -> dict[str, Any]:
        """The moments as tensors and numbers."""
        return {"mean": self.mean, "variance": self.variance, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        if state["mean"].shape != self.mean.shape:
            raise ValueError(f"moments of shape {state['mean'].shape}, not {self.mean.shape}")
        self.mean = state["mean"].to(self.mean).clone()
        self.variance = state["variance"].to(self.variance).clone()
        self.count = int(state["count"])


class RewardFilter:
    """Scale of a reward: the standard deviation of its forward-discounted sum.

    Every stream (one environment) carries `sum = discount * sum + reward` over time and across
    episode ends; the standard deviation of all sums is what the reward is divided by, its mean is
    not subtracted (Burda et al. 2018, arXiv 1810.12894, section 2.4). The sums of the current
    rollout wait until `commit`, so that the scale is constant between two updates of a model.

    Args:
        discount: Discount of the sum, in [0, 1).
        device: Where the sums live.

    Example:
        >>> reward_filter = RewardFilter(0.5)
        >>> for reward in (1.0, 1.0, 0.0):
        ...     reward_filter.advance(np.array([0]), torch.tensor([reward]))
        >>> reward_filter.scale is None  # nothing is committed yet
        True
        >>> reward_filter.commit()
        >>> round(reward_filter.scale, 4)  # the sums are 1, 1.5 and 0.75
        0.3118
    """

    def __init__(self, discount: float, device: torch.device | str = "cpu") -> None:
        self.discount = discount
        self.sums = torch.zeros(0, dtype=torch.float64, device=device)
        self.moments = RunningMoments((), device)
        self.scale: float | None = None
        """What to divide rewards by, or None while there is none: all sums so far are equal."""
        self._pending: list[Tensor] = []

    def advance(self, streams: np.ndarray, rewards: Tensor) -> None:
        """Move the sums of some streams on by one step each.

        Args:
            streams: Stream numbers, shape `(batch,)`; a stream that stands twice moves twice,
                in the order given.
            rewards: Rewards of these streams, shape `(batch,)`.
        """
        missing = int(streams.max(initial=-1)) + 1 - len(self.sums)
        if missing > 0:
            self.sums = torch.cat([self.sums, self.sums.new_zeros(missing)])
        values = rewards.to(self.sums)
        for part in _without_repeats(streams):
            where = torch.from_numpy(streams[part]).to(self.sums.device)
            sums = self.discount * self.sums[where] + values[part]
            self.sums[where] = sums
            self._pending.append(sums)

    def commit(self) -> None:
        """Let the sums since the last commit count towards the scale."""
        if self._pending:
            self.moments.update(torch.cat(self._pending))
        self._pending = []
        self._find_scale()

    def state_dict(self) -> dict[str, Any]:
        """Everything the filter has counted, as tensors and numbers."""
        return {
            "sums": self.sums,
            "pending": list(self._pending),
            "moments": self.moments.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.moments.load_state_dict(state["moments"])
        if any(sums.ndim != 1 for sums in (state["sums"], *state["pending"])):
            raise ValueError("sums of a reward that are no vectors")
        self.sums = state["sums"].to(self.sums).clone()
        self._pending = [sums.to(self.sums).clone() for sums in state["pending"]]
        self._find_scale()

    def _find_scale(self) -> None:
        deviation = math.sqrt(float(self.moments.variance))
        known = self.moments.count and deviation > ROUNDING * abs(float(self.moments.mean))
        self.scale = deviation + 1e-8 if known else None


def _without_repeats(streams: np.ndarray) -> list[slice]:
    """Cut a batch so that no stream stands twice in a part."""
    if len(set(streams.tolist())) == len(streams):
        return [slice(0, len(streams))]
    starts, seen = [0], set[int]()
    for index, stream in enumerate(streams.tolist()):
        if stream in seen:
            starts.append(index)
            seen.clear()
        seen.add(stream)
    return [
        slice(start, end) for start, end in zip(starts, [*starts[1:], len(streams)], strict=True)
    ]


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
