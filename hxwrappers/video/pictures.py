"""Frames as they come out of a decoder, turned upright, cropped and resized."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import CropError, VideoFileError
from hxwrappers.video.stacks import resize_frames

__all__ = ["Crop", "crop_picture", "picture_of", "quarter_turns"]

_MAX_PIXELS = 1 << 26


class Crop(NamedTuple):
    """A window in pixels of the upright picture; what lies outside the picture is black.

    Attributes:
        left: Column of its left edge; negative lies outside.
        top: Row of its upper edge; negative lies outside.
        width: Its columns.
        height: Its rows.
    """

    left: int
    top: int
    width: int
    height: int

    def check(self, width: int, height: int) -> None:
        """Check that the window shows something of a picture.

        Args:
            width: Columns of the picture.
            height: Rows of the picture.

        Raises:
            CropError: It lies wholly outside, or has no size.
        """
        positive = self.width > 0 and self.height > 0
        across = self.left < width and self.left + self.width > 0
        down = self.top < height and self.top + self.height > 0
        if not (positive and across and down) or self.width * self.height > _MAX_PIXELS:
            raise CropError(
                f"The crop window (left {self.left}, top {self.top}, width {self.width}, height "
                f"{self.height}) shows nothing of a picture that is {width} wide and {height} "
                "high, or is far too large. It is counted in pixels of the upright picture, and "
                "may exceed it on any side."
            )


def crop_picture(picture: npt.NDArray[np.uint8], crop: Crop) -> npt.NDArray[np.uint8]:
    """Cut a window out of a picture, black where it exceeds the picture.

    Args:
        picture: `(height, width, 3)`, `uint8`.
        crop: The window.

    Returns:
        `(crop.height, crop.width, 3)`, `uint8`.

    Raises:
        CropError: The window lies wholly outside.

    Example:
        >>> picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        >>> crop_picture(picture, Crop(-1, 1, 2, 2))[:, :, 0].tolist()
        [[0, 6], [0, 0]]
    """
    height, width = picture.shape[:2]
    crop.check(width, height)
    left, top = max(crop.left, 0), max(crop.top, 0)
    right, bottom = min(crop.left + crop.width, width), min(crop.top + crop.height, height)
    window = np.zeros((crop.height, crop.width, 3), np.uint8)
    window[top - crop.top : bottom - crop.top, left - crop.left : right - crop.left] = picture[
        top:bottom, left:right
    ]
    return window


def picture_of(frame: Any, crop: Crop | None, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A decoded frame as a picture: upright, cropped, resized.

    Args:
        frame: An `av.VideoFrame` of any size, pixel format and rotation, mirrored or not.
        crop: A window in pixels of the upright picture, or None for all of it.
        size: Height and width of the result; the aspect is not kept.

    Returns:
        `(*size, 3)`, RGB, `uint8`.

    Raises:
        VideoFileError: The frame has no size, or one that no video has.
        CropError: The window lies wholly outside the picture.
    """
    if not 0 < frame.width * frame.height <= _MAX_PIXELS:
        raise VideoFileError(
            f"A frame is {frame.width} wide and {frame.height} high; it is damaged."
        )
    picture: npt.NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    if _is_mirrored(frame):
        picture = picture[::-1]
    picture = np.asarray(np.rot90(picture, quarter_turns(frame)), np.uint8)
    if crop is not None:
        picture = crop_picture(picture, crop)
    resized: npt.NDArray[np.uint8] = resize_frames(picture[None], size)[0]
    return resized


def quarter_turns(frame: Any) -> int:
    """How often a frame must be turned a quarter counterclockwise to stand upright.

    A mirrored one, after its rows are reversed.
    """
    degrees: int = frame.rotation
    return round(degrees / 90) % 4


def _is_mirrored(frame: Any) -> bool:
    """Whether a frame's display matrix mirrors it, which `frame.rotation` does not tell."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return bool(a * d < b * c)
