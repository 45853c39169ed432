"""Which frame a video shows at which time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from hxwrappers.errors import VideoFileError

__all__ = ["Timed", "frames_until", "steady"]

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


def frames_until(stop: float, rate: float) -> int:
    """How many frames at a steady rate are shown before a time.

    Args:
        stop: Seconds.
        rate: Frames per second.

    Example:
        >>> frames_until(1.0, 15.0), frames_until(1.01, 15.0)
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
        VideoFileError: A frame would be shown for more than 10 minutes; its time is damaged.

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
        limit = frames_until(min(following, latest) - start, rate)
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
        raise VideoFileError(
            f"A frame at {start:.1f} s is shown for {stop - start:.0f} s, more than "
            f"{MAX_GAP_SECONDS:.0f} s: the video's times are damaged. Write it again with another "
            "tool, or cut the still part off."
        )
