"""How observations of any Box shape become the frames that a novelty network looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hxwrappers._image_axes import channels_are_first
from hxwrappers.errors import InvalidArgumentError, InvalidObservationError, InvalidSpaceError

__all__ = ["ObservationLayout", "find_box"]

SMALLEST_IMAGE = 36  # the smallest side that all three convolutions of the RND network leave intact


@dataclass(frozen=True)
class ObservationLayout:
    """What one observation looks like and which part of it a novelty network sees.

    An image is reduced to its newest frame (facts of both papers: the bonus network sees one
    frame, the policy sees the stack) with the channels first; everything else becomes a vector.
    Make one with `ObservationLayout.of(space)`.

    Attributes:
        space: The Box that observations come from.
        frame_shape: `(channels, height, width)` of an image, `(size,)` of a vector.
        channel_axis: Axis of the channels in a frame, None where there is none.
        newest_channels: How many channels, counted from the last, are the newest frame.
    """

    space: spaces.Box
    frame_shape: tuple[int, ...]
    channel_axis: int | None
    newest_channels: int

    @classmethod
    def of(
        cls,
        space: spaces.Space[np.ndarray],
        *,
        channel_axis: int | None = None,
        newest_channels: int | None = None,
    ) -> ObservationLayout:
        """Find the layout of a space.

        Two- and three-dimensional observations with both sides of 36 pixels or more are images,
        and so are four-dimensional ones, read as a stack of frames with the newest last. The
        smaller of the first and the last axis of a frame holds the channels. In three dimensions a
        multiple of 3 channels is read as one or more RGB frames, any other number as grey frames.
        Smaller or flat observations (MiniGrid's 7x7x3 codes, joint angles) are vectors.

        Args:
            space: The observation space; it must be a Box.
            channel_axis: Axis of the channels in a frame where the guess above is wrong: 0 or 2.
            newest_channels: Channels of the newest frame where the guess above is wrong, for
                example 1 for twelve stacked grey frames.

        Raises:
            InvalidSpaceError: The space is not a Box, or the channels cannot be told apart.
            InvalidArgumentError: `channel_axis` or `newest_channels` does not fit the space, or
                has no meaning for it.

        Example:
            >>> import numpy as np
            >>> stacked = spaces.Box(0, 255, (4, 84, 84), np.uint8)
            >>> ObservationLayout.of(stacked).frame_shape
            (1, 84, 84)
            >>> ObservationLayout.of(spaces.Box(0, 255, (64, 64, 6), np.uint8)).frame_shape
            (3, 64, 64)
            >>> ObservationLayout.of(spaces.Box(-1, 1, (17,))).frame_shape
            (17,)
        """
        if not isinstance(space, spaces.Box):
            raise InvalidSpaceError(
                f"A novelty model needs a Box observation space, not {space}. Give the wrapper "
                "observation_key= for a Dict space, or flatten the observation first."
            )
        shape = space.shape
        if 0 in shape:
            raise InvalidSpaceError(f"The observation space {space} is empty.")
        if channel_axis not in {None, 0, 2}:
            raise InvalidArgumentError(f"channel_axis is {channel_axis}; it must be 0 or 2.")
        if len(shape) == 3 and sorted(shape)[1] >= SMALLEST_IMAGE:
            if channel_axis is None:
                first = channels_are_first(space)
                if first is None:
                    raise InvalidSpaceError(
                        f"Which axis of the observation shape {shape} holds the channels? "
                        "Give channel_axis=0 or channel_axis=2."
                    )
                channel_axis = 0 if first else 2
            channels = shape[channel_axis]
            newest = (3 if channels % 3 == 0 else 1) if newest_channels is None else newest_channels
            if not 1 <= newest <= channels:
                raise InvalidArgumentError(
                    f"newest_channels is {newest}, but the observation has {channels} channels."
                )
            sides = tuple(side for axis, side in enumerate(shape) if axis != channel_axis)
            return cls(space, (newest, *sides), channel_axis, newest)
        if newest_channels is not None:
            raise InvalidArgumentError(
                f"newest_channels is {newest_channels}, which has no meaning for observations of "
                f"shape {shape}: it is for images of three dimensions."
            )
        if len(shape) == 4 and sorted(shape[1:])[1] >= SMALLEST_IMAGE:
            frame = cls.of(spaces.Box(0, 255, shape[1:], np.uint8), channel_axis=channel_axis)
            axis = frame.channel_axis or 0
            return cls(space, (shape[1 + axis], *frame.frame_shape[1:]), axis, shape[1 + axis])
        if channel_axis is not None:
            raise InvalidArgumentError(
                f"channel_axis is {channel_axis}, but observations of shape {shape} have no "
                "channels. Leave it out."
            )
        if len(shape) == 2 and min(shape) >= SMALLEST_IMAGE:
            return cls(space, (1, *shape), None, 1)
        return cls(space, (int(np.prod(shape)) if shape else 1,), None, 1)

    @property
    def is_image(self) -> bool:
        """Whether frames are images."""
        return len(self.frame_shape) == 3

    def frames(self, observations: np.ndarray | Tensor, device: torch.device) -> Tensor:
        """The newest frames of a batch of observations, in the dtype of the space.

        Args:
            observations: Shape `(batch, *space.shape)`, dtype of the space.
            device: Where the frames shall lie.

        Returns:
            Shape `(batch, *frame_shape)`; never a view of the given memory.

        Raises:
            InvalidObservationError: Another shape or dtype than the space's, NaN or infinity.
        """
        if isinstance(observations, np.ndarray):
            self._check(observations.shape, observations.dtype)
            # Torch takes neither read-only arrays nor those that are mirrored by their strides.
            observations = torch.from_numpy(np.require(observations, requirements=["C", "W"]))
        else:
            self._check(tuple(observations.shape), _numpy_dtype(observations))
        batch = self.newest(observations)
        batch = batch.reshape(len(observations), *self.frame_shape)
        if batch.is_floating_point() and not bool(torch.isfinite(batch.to(torch.float32)).all()):
            raise InvalidObservationError(
                "An observation holds NaN, infinity or a number beyond float32; its novelty has no "
                "meaning. Nothing was learned from it. Mend the environment or clip its "
                "observations."
            )
        return batch.to(device, copy=True, memory_format=torch.contiguous_format)

    def newest(self, observations: Tensor) -> Tensor:
        """Reduce `(batch, *space.shape)` to the newest frames, channels first."""
        if self.is_image and observations.ndim == 5:
            newest = observations[:, -1]
            return newest if self.channel_axis == 0 else newest.permute(0, 3, 1, 2)
        if self.channel_axis == 0:
            return observations[:, -self.newest_channels :]
        if self.channel_axis == 2:
            return observations[..., -self.newest_channels :].permute(0, 3, 1, 2)
        return observations

    def _check(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        if shape[1:] != self.space.shape:
            raise InvalidObservationError(
                f"Observations of shape {shape[1:]} came where the space says {self.space.shape}. "
                "The environment's observation_space is not honest, or the batch axis is missing."
            )
        if dtype != self.space.dtype:
            raise InvalidObservationError(
                f"Observations of dtype {dtype} came where the space says {self.space.dtype}: "
                "their range is not the one that the model was made for. Convert them, or declare "
                "the right observation_space."
            )


def find_box(
    space: spaces.Space[Any], key: str | None = None
) -> tuple[spaces.Space[Any], str | None]:
    """The part of an observation space whose novelty is to be scored.

    Args:
        space: A space that is taken as it is, or a Dict.
        key: Key of the part of a Dict; may be left out where only one part is a Box.

    Returns:
        The part, and its key in the Dict or None.

    Raises:
        InvalidSpaceError: The key is missing, unknown, or given for a space that is no Dict.

    Example:
        >>> space = spaces.Dict(image=spaces.Box(0, 255, (7, 7, 3)), direction=spaces.Discrete(4))
        >>> find_box(space)[1]
        'image'
    """
    if not isinstance(space, spaces.Dict):
        if key is not None:
            raise InvalidSpaceError(f"observation_key is {key!r}, but {space} is not a Dict space.")
        return space, None
    boxes = [name for name, part in space.spaces.items() if isinstance(part, spaces.Box)]
    if not boxes:
        raise InvalidSpaceError(
            f"No part of the Dict observation, {', '.join(space.spaces)}, is a Box. Wrap the "
            "environment so that one is, for instance in Gymnasium's FlattenObservation."
        )
    if key is None and len(boxes) == 1:
        key = boxes[0]
    if key not in boxes:
        raise InvalidSpaceError(
            f"observation_key is {key!r}; for this Dict observation it must be one of {boxes}, the "
            "parts that are Boxes."
        )
    return space.spaces[key], key


def _numpy_dtype(tensor: Tensor) -> np.dtype:
    return torch.empty(0, dtype=tensor.dtype).numpy().dtype
