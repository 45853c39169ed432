"""Stacks of consecutive frames: which frames, how large, and as a network's input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["centre_crop", "history_of", "network_input", "resize_frames"]


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
