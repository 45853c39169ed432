"""What the parts of an observation are, and how images become frames with the channels first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from torch import Tensor

from hxwrappers._image_axes import channels_are_first
from hxwrappers.checkpoints import refusing_malformed
from hxwrappers.errors import InvalidSpaceError

__all__ = ["Layout", "Part"]

ONLY_PART = "observation"


@dataclass(frozen=True)
class Part:
    """One array of an observation.

    Attributes:
        name: Its key in a Dict observation, or "observation".
        shape: Its shape.
        dtype: The name of its dtype.
        high: What an image is divided by: its largest value if that is finite, otherwise 1.
        channels_first: Whether the first of an image's last three axes holds the channels.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    high: float
    channels_first: bool

    @property
    def is_image(self) -> bool:
        """Whether convolutions look at it: three or four axes, or two of bytes."""
        return len(self.shape) in {3, 4} or (len(self.shape) == 2 and self.dtype == "uint8")

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        if len(self.shape) == 2:
            return (1, *self.shape)
        *stack, first, middle, last = self.shape
        count = math.prod(stack)
        if self.channels_first:
            return count * first, middle, last
        return count * last, first, middle

    def frames(self, images: Tensor) -> Tensor:
        """Bring images of shape `(batch, *shape)` into the shape `(batch, *frame_shape)`."""
        if len(self.shape) == 2:
            return images.unsqueeze(1)
        if not self.channels_first:
            images = images.movedim(-1, -3)
        return images.flatten(1, -3)


@dataclass(frozen=True)
class Layout:
    """The arrays of which an observation consists: at most one image, and any number of vectors.

    In an image with three axes the first or the last one holds the channels: which, an attribute
    `channels_first` of the space tells, as that of `make_minigrid` has it. Without one it is the
    axis that is unlike the two others, or else the smaller one. An image with four axes is a stack
    of such images. Everything else is flattened to a vector.

    Attributes:
        parts: The arrays, in the order of the space.
        is_dict: Whether observations are dicts.

    Example:
        >>> image = spaces.Box(0, 255, (4, 84, 84), np.uint8)
        >>> layout = Layout.of(spaces.Dict(image=image, progress=spaces.Box(0, 1, (2,))))
        >>> layout.image.frame_shape, [part.name for part in layout.vectors]
        ((4, 84, 84), ['progress'])
    """

    parts: tuple[Part, ...]
    is_dict: bool

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> Layout:
        """Find the layout of one environment's observation space.

        Raises:
            InvalidSpaceError: A space other than a Box or a Dict of Boxes, or two images.
        """
        is_dict = isinstance(space, spaces.Dict)
        named = dict(space.spaces) if isinstance(space, spaces.Dict) else {ONLY_PART: space}
        parts = []
        for name, part in named.items():
            if not isinstance(part, spaces.Box) or 0 in part.shape:
                raise InvalidSpaceError(
                    f"The observation space {space} has the part {part}, but IMPALA takes Boxes "
                    "and flat Dicts of Boxes. Wrap the environment in a FlattenObservation or a "
                    "TransformObservation of gymnasium.wrappers."
                )
            high = float(part.high.max())
            high = high if 0 < high < np.inf else 1.0
            first = channels_are_first(part) or False
            parts.append(Part(name, part.shape, str(part.dtype), high, first))
        layout = cls(tuple(parts), is_dict)
        if sum(part.is_image for part in parts) > 1:
            raise InvalidSpaceError(
                f"The observation space {space} has several images, but IMPALA looks at one. Stack "
                "them along the channels or leave all but one out."
            )
        return layout

    @property
    def image(self) -> Part | None:
        """The image, if there is one."""
        return next((part for part in self.parts if part.is_image), None)

    @property
    def vectors(self) -> tuple[Part, ...]:
        """The parts that are not an image."""
        return tuple(part for part in self.parts if not part.is_image)

    def split(self, observations: Any) -> dict[str, npt.NDArray[Any]]:
        """Name the arrays of an observation or of a batch of them."""
        if self.is_dict:
            return {part.name: np.asarray(observations[part.name]) for part in self.parts}
        return {ONLY_PART: np.asarray(observations)}

    def state_dict(self) -> dict[str, Any]:
        """The layout as plain values."""
        parts = [
            [part.name, list(part.shape), part.dtype, part.high, part.channels_first]
            for part in self.parts
        ]
        return {"parts": parts, "is_dict": self.is_dict}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        """Rebuild a layout from what `state_dict` gave.

        Raises:
            CheckpointError: It did not.
        """
        with refusing_malformed(
            "The layout of the observations in a checkpoint is damaged",
            "Use a checkpoint written by hxwrappers.",
        ):
            parts = tuple(
                Part(
                    str(name),
                    tuple(int(side) for side in shape),
                    str(dtype),
                    float(high),
                    bool(first),
                )
                for name, shape, dtype, high, first in state["parts"]
            )
            return cls(parts, bool(state["is_dict"]))
