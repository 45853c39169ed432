"""Frames of a decoder: turned upright, cropped, resized, at a steady rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import VideoError
from hxwrappers.video.stacks import resize_frames

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
            VideoError: It lies wholly outside, or has no size.
        """
        positive = self.width > 0 and self.height > 0
        across = self.left < width and self.left + self.width > 0
        down = self.top < height and self.top + self.height > 0
        if not (positive and across and down) or self.width * self.height > _MAX_PIXELS:
            raise VideoError(
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
        VideoError: The window lies wholly outside.

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
        VideoError: The frame has no size, or one that no video has.
        VideoError: The window lies wholly outside the picture.
    """
    if not 0 < frame.width * frame.height <= _MAX_PIXELS:
        raise VideoError(f"A frame is {frame.width} wide and {frame.height} high; it is damaged.")
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


Picture = TypeVar("Picture")

# Times in mkv are rounded to a thousandth of a second.
EPSILON = 1e-3
MAX_GAP_SECONDS = 600.0


class Timed(NamedTuple):
    """A frame and when it is shown.

    Attributes:
        start: Seconds from the first frame of the video.
        stop: Seconds at which it gives way, where nothing follows.
        frame: The frame.
    """

    start: float
    stop: float
    frame: object


def frames_up_to(stop: float, rate: float) -> int:
    """How many frames at a steady rate are shown before a time.

    Args:
        stop: Seconds.
        rate: Frames per second.

    Example:
        >>> frames_up_to(1.0, 15.0), frames_up_to(1.01, 15.0)
        (15, 16)
    """
    count = max(0, int(stop * rate))
    while count / rate < stop - EPSILON:
        count += 1
    while count and (count - 1) / rate >= stop - EPSILON:
        count -= 1
    return count


def steady(
    frames: Iterable[Timed],
    convert: Callable[[object], Picture],
    rate: float,
    start: float = 0.0,
    stop: float | None = None,
) -> Iterator[Picture]:
    """Show frames of any timing at a steady rate: at each moment the one that is shown then.

    Args:
        frames: Frames in the order in which they are shown. Times that go backwards are taken
            for the time of the frame before.
        convert: Called once for each frame that is shown at one of the moments.
        rate: Frames per second of the result; frame n is what is shown at `start + n / rate`.
        start: Seconds of the first moment.
        stop: Seconds before which the last moment lies; the end of the last frame where None.

    Yields:
        What `convert` returned, the same object again where a frame is shown for long.

    Raises:
        VideoError: A frame would be shown for more than 10 minutes; its time is damaged.

    Example:
        >>> times = [Timed(0.0, 0.1, "a"), Timed(0.1, 0.5, "b"), Timed(0.5, 0.6, "c")]
        >>> "".join(steady(times, str, rate=10))
        'abbbbc'
    """
    count = 0
    latest = math.inf if stop is None else stop

    def until(shown: Timed, following: float) -> Iterator[Picture]:
        nonlocal count
        _check_gap(shown.start, following)
        limit = frames_up_to(min(following, latest) - start, rate)
        if count < limit:
            picture = convert(shown.frame)
            while count < limit:
                count += 1
                yield picture

    shown: Timed | None = None
    for timed in frames:
        if shown is not None:
            following = max(timed.start, shown.start)
            yield from until(shown, following)
            if following >= latest:
                return
            shown = timed._replace(start=following)
        else:
            shown = timed
    if shown is not None:
        # Even the shortest last frame is seen at its own moment.
        yield from until(shown, max(shown.stop, shown.start + 2 * EPSILON))


def _check_gap(start: float, stop: float) -> None:
    if stop - start > MAX_GAP_SECONDS:
        raise VideoError(
            f"A frame at {start:.1f} s is shown for {stop - start:.0f} s, more than "
            f"{MAX_GAP_SECONDS:.0f} s: the video's times are damaged. Write it again with another "
            "tool, or cut the still part off."
        )
