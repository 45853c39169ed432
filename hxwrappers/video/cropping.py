"""The game's picture in an upload, found by what changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import VideoError
from hxwrappers.video.clip import Clip
from hxwrappers.video.frames import Crop

_SAMPLES = 64
_ROWS = 360
_QUANTILES = (0.1, 0.9)


def changing_window(
    pictures: npt.NDArray[np.uint8], *, change: int = 24, share: float = 0.02
) -> Crop | None:
    """The smallest window around what changes in some pictures.

    A pixel changes if one of its colours differs by more than `change` levels, a tenth of its
    darkest and of its brightest values left aside, so that noise and a short card do not count. A
    row or column belongs to the window if more than `share` of its pixels change.

    Args:
        pictures: `(number, height, width, 3)`, `uint8`.
        change: Levels, above the noise of compression.
        share: Of a row or column, in [0, 1).

    Returns:
        The window, or None where nothing changes.

    Example:
        >>> pictures = np.full((4, 6, 8, 3), 40, np.uint8)
        >>> pictures[:2, 1:5, 2:7] = 200
        >>> changing_window(pictures)
        Crop(left=2, top=1, width=5, height=4)
    """
    low, high = np.quantile(pictures, _QUANTILES, axis=0, method="nearest").astype(np.int16)
    changes = (high - low).max(axis=-1) > change
    rows, columns = (np.flatnonzero(changes.mean(axis) > share) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Crop(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)


def find_picture(clip: Clip) -> Crop:
    """Find the part of an upload that shows the game: the smallest window around what changes.

    Uploads put the game into borders of all sizes and colours; frames cut to this window are alike
    whatever the border is. The clip's `start` and `end` should leave out what is not the game, and
    in between several rooms or levels should be seen. The video is decoded once, with 64 to 128 of
    its frames in memory.

    Args:
        clip: The clip; its size, rate and crop do not matter.

    Returns:
        The window in pixels of the upright picture, as `Clip` takes it.

    Raises:
        VideoError: Nothing changes in the video.
        VideoError: As `Clip.frames` does.

    Example:
        >>> import tempfile
        >>> from hxwrappers.video.synthesis import Part, write_video
        >>> frames = np.zeros((30, 48, 64, 3), np.uint8)
        >>> frames[15:, 8:40, 16:56] = 255
        >>> path = tempfile.mkdtemp() + "/bordered.mkv"
        >>> parts = [Part(frame) for frame in frames]
        >>> write_video(path, parts, frames_per_second=30.0, size=(48, 64), lossless=True)
        30
        >>> find_picture(Clip(path))
        Crop(left=16, top=8, width=40, height=32)
    """
    facts = clip.facts()
    scale = min(1.0, _ROWS / facts.height)
    size = max(1, round(facts.height * scale)), max(1, round(facts.width * scale))
    kept: list[npt.NDArray[np.uint8]] = []
    step = 1
    for number, frame in enumerate(replace(clip, crop=None, size=size).frames()):
        if number % step == 0:
            kept.append(frame)
        if len(kept) == 2 * _SAMPLES:
            # The length may be unknown: thin out and go on twice as sparsely.
            kept, step = kept[::2], 2 * step
    window = changing_window(np.stack(kept))
    if window is None:
        raise VideoError(
            f"Nothing changes in {clip.path}, so that it is not to be seen which part of it is the "
            "game. Give the window's left, top, width and height."
        )
    left, top = round(window.left / scale), round(window.top / scale)
    right = min(facts.width, round((window.left + window.width) / scale))
    bottom = min(facts.height, round((window.top + window.height) / scale))
    return Crop(left, top, right - left, bottom - top)
