"""Frames of videos: resized, turned upright, cropped, at a steady rate, stacked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from hxwrappers.errors import CheckpointError, InvalidArgumentError, VideoError
from hxwrappers.files.checkpoints import checkpoint_errors


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
        with checkpoint_errors("The state holds no history of frames"):
            frames, newest = (state[name].numpy().copy() for name in ("frames", "newest"))
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


def crop_picture(picture: npt.NDArray[np.uint8], crop: Crop) -> npt.NDArray[np.uint8]:
    """Cut a window out of a picture, black where it exceeds the picture.

    Args:
        picture: `(height, width, 3)`, `uint8`.
        crop: The window.

    Returns:
        `(crop.height, crop.width, 3)`, `uint8`.

    Raises:
        VideoError: The window lies wholly outside, or has no size.

    Example:
        >>> picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        >>> crop_picture(picture, Crop(-1, 1, 2, 2))[:, :, 0].tolist()
        [[0, 6], [0, 0]]
    """
    height, width = picture.shape[:2]
    left, top = max(crop.left, 0), max(crop.top, 0)
    right, bottom = min(crop.left + crop.width, width), min(crop.top + crop.height, height)
    if left >= right or top >= bottom or crop.width * crop.height > _MAX_PIXELS:
        raise VideoError(
            f"The crop window (left {crop.left}, top {crop.top}, width {crop.width}, height "
            f"{crop.height}) shows nothing of a picture that is {width} wide and {height} "
            "high, or is far too large. It is counted in pixels of the upright picture, and "
            "may exceed it on any side."
        )
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
    rest = iter(frames)
    shown = next(rest, None)
    while shown is not None:
        following = next(rest, None)
        if following is None:
            # Even the shortest last frame is seen at its own moment.
            end = max(shown.stop, shown.start + 2 * EPSILON)
        else:
            end = max(following.start, shown.start)
            following = following._replace(start=end)
        _check_gap(shown.start, end)
        limit = frames_up_to(min(end, latest) - start, rate)
        if count < limit:
            picture = convert(shown.frame)
            for _ in range(count, limit):
                yield picture
            count = limit
        if end >= latest:
            return
        shown = following


def _check_gap(start: float, stop: float) -> None:
    if stop - start > MAX_GAP_SECONDS:
        raise VideoError(
            f"A frame at {start:.1f} s is shown for {stop - start:.0f} s, more than "
            f"{MAX_GAP_SECONDS:.0f} s: the video's times are damaged. Write it again with another "
            "tool, or cut the still part off."
        )
