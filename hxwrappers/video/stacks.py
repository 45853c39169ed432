"""Stacks of consecutive frames: which frames, how large, and as a network's input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

__all__ = ["resize_frames"]


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
    planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    resized = functional.interpolate(planes, size, mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy())
