"""Stacks of consecutive frames as network inputs, and the histories of agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from hxwrappers.errors import CheckpointError, InvalidArgumentError


def history_of(frames: npt.NDArray[np.int64], history: int) -> npt.NDArray[np.int64]:
    """The frames of the stacks that end with given frames; before the start, the first repeats.

    Args:
        frames: Indices of frames, `(number,)`.
        history: Frames in a stack.

    Returns:
        Indices, oldest first, `(number, history)`.

    Example:
        >>> history_of(np.array([0, 2, 9]), 4).tolist()
        [[0, 0, 0, 0], [0, 0, 1, 2], [6, 7, 8, 9]]
    """
    indices: npt.NDArray[np.int64] = np.maximum(frames[:, None] + np.arange(1 - history, 1), 0)
    return indices


def resize_frames(frames: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize pictures with anti-aliasing, without keeping their aspect.

    Args:
        frames: `(number, height, width, 3)`, `uint8`.
        size: The new height and width.

    Example:
        >>> resize_frames(np.full((1, 210, 160, 3), 7, np.uint8), (70, 80)).shape
        (1, 70, 80, 3)
    """
    if frames.shape[1:3] == size:
        return frames
    planes = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2)
    resized = functional.interpolate(planes, size, mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy())


def centre_crop(stacks: Tensor, side: int) -> Tensor:
    """The middle squares of stacks `(batch, history, height, width, 3)`."""
    top, left = ((length - side) // 2 for length in stacks.shape[2:4])
    return stacks[:, :, top : top + side, left : left + side]


def network_input(stacks: Tensor) -> Tensor:
    """Stacks of crops as a network takes them.

    Args:
        stacks: `(batch, history, side, side, 3)`, `uint8` or `float32` in [0, 255].

    Returns:
        `(batch, 3 * history, side, side)`, `float32`, in [-0.5, 0.5].
    """
    planes = stacks.permute(0, 1, 4, 2, 3).flatten(1, 2)
    return planes.float().div_(255.0).sub_(0.5)


class FrameHistory:
    """The last frames that each agent saw, resized.

    Args:
        lanes: How many agents there are.
        frame_size: Height and width that frames are resized to.
        length: Frames in a stack.
        spacing: Steps between two frames of a stack, any positive number; where it is no whole
            one, the nearest step is taken.

    Example:
        Steps at 60 a second, and stacks of frames at 15 a second:

        >>> history = FrameHistory(lanes=1, frame_size=(1, 1), length=4, spacing=4.0)
        >>> here = np.array([0])
        >>> history.begin(np.zeros((1, 1, 1, 3), np.uint8), here)
        >>> for step in range(1, 11):
        ...     history.add(np.full((1, 1, 1, 3), step, np.uint8), here)
        >>> history.stacks(here)[0, :, 0, 0, 0].tolist()
        [0, 2, 6, 10]
    """

    def __init__(
        self, lanes: int, frame_size: tuple[int, int], length: int, spacing: float = 1.0
    ) -> None:
        self.frame_size = frame_size
        self._back = np.array([round(index * spacing) for index in reversed(range(length))])
        depth = int(self._back[0]) + 1
        self._frames = np.zeros((lanes, depth, *frame_size, 3), np.uint8)
        self._newest = np.zeros(lanes, np.int64)

    def begin(self, frames: npt.NDArray[np.uint8], lanes: npt.NDArray[np.int64]) -> None:
        """Begin new episodes; their first frame also stands for those before it.

        Args:
            frames: The first frames, `(number, height, width, 3)`, RGB, `uint8`, of any size.
            lanes: The agents, `(number,)`.

        Raises:
            InvalidArgumentError: The frames are of another shape or dtype.
        """
        self._frames[lanes] = self._resized(frames)[:, None]

    def add(self, frames: npt.NDArray[np.uint8], lanes: npt.NDArray[np.int64]) -> None:
        """Add the frame of a step; arguments and errors as of `begin`."""
        resized = self._resized(frames)
        self._newest[lanes] = (self._newest[lanes] + 1) % self._frames.shape[1]
        self._frames[lanes, self._newest[lanes]] = resized

    def stacks(self, lanes: npt.NDArray[np.int64]) -> Tensor:
        """The stacks of some agents, oldest frame first.

        Args:
            lanes: The agents, `(number,)`.

        Returns:
            `(number, length, *frame_size, 3)`, `uint8`.
        """
        places = (self._newest[lanes][:, None] - self._back) % self._frames.shape[1]
        return torch.from_numpy(self._frames[lanes[:, None], places])

    def state_dict(self) -> dict[str, Any]:
        """The frames, as tensors."""
        return {"frames": torch.tensor(self._frames), "newest": torch.tensor(self._newest)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            CheckpointError: The state is of another number of agents or size of frames.
        """
        try:
            frames, newest = (state[name].numpy().copy() for name in ("frames", "newest"))
        except (AttributeError, KeyError, TypeError) as error:
            raise CheckpointError(f"The state holds no history of frames ({error!r}).") from error
        same = frames.shape == self._frames.shape and newest.shape == self._newest.shape
        if not same or frames.dtype != np.uint8 or newest.dtype.kind != "i":
            raise CheckpointError(
                f"The state is of frames {frames.shape}, here they are {self._frames.shape}. Use "
                "the embedder, frame rate and number of environments that it was saved with."
            )
        self._frames[:], self._newest[:] = frames, newest % frames.shape[1]

    def _resized(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise InvalidArgumentError(
                f"The frames are {frames.dtype} of shape {frames.shape}; uint8 of shape (number, "
                "height, width, 3) in RGB was expected."
            )
        return resize_frames(frames, self.frame_size)
