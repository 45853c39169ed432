"""Frame cells whose size is chosen from what is seen (go-explore's dynamic cells)."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.errors import DemoError
from hxwrappers.search.cells.frame_cells import FrameCells, grey_frame, shrink

_SIDE = 84
_TARGET = 1 / 8
_TRIES = 60
_MEAN_SIDE, _LARGEST_SIDE = 12, 42
_DEPTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


class FrameSize(NamedTuple):
    """The size of a frame that is a cell.

    Attributes:
        width: Columns.
        height: Rows.
        depth: Levels of grey.
    """

    width: int
    height: int
    depth: int


class AdaptiveFrameCells:
    """Frame cells that can be given another size, and found again from a kept picture.

    Args:
        size: The size to begin with.

    Attributes:
        size: The size now.

    Raises:
        InvalidArgumentError: The size is out of range.

    Example:
        >>> cells = AdaptiveFrameCells(FrameSize(2, 1, 4))
        >>> frame = np.zeros((32, 32), np.uint8)
        >>> frame[:, 16:] = 200
        >>> list(cells(gym.Env(), frame))
        [2, 1, 4, 0, 3]
        >>> cells.of(cells.picture(gym.Env(), frame)) == cells(gym.Env(), frame)
        True
    """

    def __init__(self, size: FrameSize) -> None:
        self.resize(size)

    def resize(self, size: FrameSize) -> None:
        """Take another size."""
        self.size = size
        self._cells = FrameCells(*size)

    def __call__(self, env: gym.Env[Any, Any], observation: Any) -> bytes:
        """The cell that a frame lies in: the size, and the small picture."""
        return self._of(_seen(env, observation))

    def picture(self, env: gym.Env[Any, Any], observation: Any) -> bytes:
        """The frame in 84 x 84 pixels, compressed: enough to find its cell in any size."""
        return zlib.compress(_seen(env, observation).tobytes(), 1)

    def of(self, picture: bytes) -> bytes:
        """The cell of a frame of which the picture was kept.

        Raises:
            DemoError: The picture is damaged.
        """
        return self._of(_unpacked(picture))

    def _of(self, seen: npt.NDArray[np.uint8]) -> bytes:
        return bytes(min(part, 255) for part in self.size) + self._cells.of_grey(seen)


def choose_size(pictures: Sequence[bytes], generator: np.random.Generator) -> FrameSize:
    """The size that tells apart what was seen neither too little nor too much.

    Sizes are tried at random; of each the entropy of the cells is taken, as a share of the highest
    possible, divided by `sqrt(abs(cells / wanted - 1) + 1)`, where an eighth of the number of
    pictures is wanted (Ecoffet et al. 2021, Methods, "Dynamic representation").

    Args:
        pictures: A sample of what was seen lately, two or more.
        generator: Draws the sizes.
    """
    seen = [_unpacked(picture) for picture in pictures]
    best, highest = FrameSize(11, 8, 8), -1.0
    for _ in range(_TRIES):
        width, height = np.minimum(generator.geometric(1 / _MEAN_SIDE, 2) + 1, _LARGEST_SIDE)
        size = FrameSize(int(width), int(height), int(generator.choice(_DEPTHS)))
        cells = FrameCells(*size)
        counts = np.array(list(Counter(map(cells.of_grey, seen)).values()))
        value = _value(counts, len(seen))
        if value > highest:
            best, highest = size, value
    return best


def _value(counts: npt.NDArray[Any], frames: int) -> float:
    if len(counts) < 2:
        return 0.0
    shares = counts / frames
    entropy = -float((shares * np.log(shares)).sum()) / np.log(len(counts))
    return float(entropy / np.sqrt(abs(len(counts) / (_TARGET * frames) - 1) + 1))


def _seen(env: gym.Env[Any, Any], observation: Any) -> npt.NDArray[np.uint8]:
    return np.rint(shrink(grey_frame(env, observation), _SIDE, _SIDE)).astype(np.uint8)


def _unpacked(picture: bytes) -> npt.NDArray[np.uint8]:
    try:
        pixels = zlib.decompressobj().decompress(picture, _SIDE * _SIDE)
        return np.frombuffer(pixels, np.uint8).reshape(_SIDE, _SIDE)
    except (zlib.error, ValueError) as error:
        raise DemoError(f"The picture of a cell is damaged ({error}).") from error
