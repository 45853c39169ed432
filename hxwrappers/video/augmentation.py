"""Crops, and changes of size and colour, that an embedding learns to look past."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Window", "colour_map", "cut", "draw_window"]

Window = tuple[int, int, int, int]
"""Top, left, height and width of a rectangle in pixels."""


def draw_window(
    generator: np.random.Generator, height: int, width: int, side: int, zoom: float
) -> Window:
    """Draw the rectangle that is cut out of all frames of a stack.

    Args:
        generator: Where the random numbers come from.
        height: Of the frames.
        width: Of the frames.
        side: Side of the square without zoom.
        zoom: The rectangle's height and width are drawn from `side` times `1 - zoom` to `1 + zoom`,
            each by itself, but are never longer than the frame's.

    Example:
        >>> draw_window(np.random.default_rng(0), 140, 140, 128, 0.0)
        (11, 8, 128, 128)
    """
    size = []
    for limit in (height, width):
        shortest, longest = max(1, round(side * (1 - zoom))), min(limit, round(side * (1 + zoom)))
        size.append(int(generator.integers(shortest, longest, endpoint=True)))
    top = int(generator.integers(height - size[0], endpoint=True))
    left = int(generator.integers(width - size[1], endpoint=True))
    return top, left, size[0], size[1]


def cut(
    frames: npt.NDArray[np.uint8], stack: npt.NDArray[np.int64], window: Window, side: int
) -> npt.NDArray[np.uint8]:
    """Cut the same rectangle out of a stack of frames and bring it to a square.

    Args:
        frames: A clip's frames, `(frames, height, width, 3)`; only what is cut out is read.
        stack: Which frames, `(history,)`.
        window: The rectangle.
        side: Side of the square.

    Returns:
        `(history, side, side, 3)`, `uint8`.
    """
    top, left, height, width = window
    crops = frames[stack, top : top + height, left : left + width]
    if (height, width) == (side, side):
        return crops
    planes = torch.from_numpy(crops).permute(0, 3, 1, 2)
    squares = functional.interpolate(planes, (side, side), mode="bilinear", align_corners=False)
    return squares.permute(0, 2, 3, 1).numpy()


def colour_map(generator: np.random.Generator, stacks: Tensor, strength: float) -> Tensor:
    """Change the colours of each stack by a random linear map and a random brightness.

    A colour is multiplied by a matrix near the identity: a common factor, which changes the
    contrast, and all nine elements by themselves, which change tint and saturation.

    Args:
        generator: Where the random numbers come from.
        stacks: `(batch, history, side, side, 3)`, `uint8`.
        strength: How far elements may be from those of the identity, and half of how far
            the brightness may be from the old one.

    Returns:
        `float32` in [0, 255], of the same shape.
    """
    number = len(stacks)
    contrast = generator.uniform(1 - strength, 1 + strength, (number, 1, 1))
    tint = generator.uniform(-strength / 2, strength / 2, (number, 3, 3))
    brightness = generator.uniform(-strength / 2, strength / 2, (number, 1, 1))
    matrices = torch.from_numpy((contrast * (np.eye(3) + tint)).astype(np.float32))
    shifts = torch.from_numpy((255 * brightness).astype(np.float32))
    colours = stacks.reshape(number, -1, 3).float()
    return torch.baddbmm(shifts, colours, matrices).clamp_(0, 255).view(stacks.shape)
