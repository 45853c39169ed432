"""The last frames that each agent saw, as the stacks that an embedder takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers.errors import CheckpointError, InvalidObservationError
from hxwrappers.video.stacks import resize_frames

__all__ = ["FrameHistory"]


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
            InvalidObservationError: The frames are of another shape or dtype.
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
            raise InvalidObservationError(
                f"The frames are {frames.dtype} of shape {frames.shape}; uint8 of shape (number, "
                "height, width, 3) in RGB was expected."
            )
        return resize_frames(frames, self.frame_size)
