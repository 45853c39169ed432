"""Cells that need no knowledge of the game: small, coarse, grey frames."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.errors import CellError, InvalidArgumentError

__all__ = ["FrameCells", "is_picture"]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_MAX_SIDE, _MAX_DEPTH = 256, 256
_SMALLEST = 16


class FrameCells:
    """The frame, grey, shrunk and with few levels of grey (Ecoffet et al. 2019, section 2.1.1).

    The frame is the observation where that is a picture (`uint8`, `(height, width)` or with
    channels last, of which the last three count), and otherwise the screen of an Atari game, or
    what the environment renders.

    Args:
        width: Columns.
        height: Rows.
        depth: Levels of grey.

    Raises:
        InvalidArgumentError: A size is out of range.

    Example:
        >>> cells = FrameCells(2, 1, 4)
        >>> frame = np.zeros((32, 32), np.uint8)
        >>> frame[:, 16:] = 200
        >>> list(cells(gym.Env(), frame))
        [0, 3]
    """

    def __init__(self, width: int = 11, height: int = 8, depth: int = 8) -> None:
        sizes_fit = 1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE
        if not sizes_fit or not 2 <= depth <= _MAX_DEPTH:
            raise InvalidArgumentError(
                f"Frames of {width} x {height} with {depth} levels of grey make no cells; width "
                f"and height are 1 to {_MAX_SIDE}, depth is 2 to {_MAX_DEPTH}."
            )
        self._width, self._height, self._depth = width, height, depth

    def __call__(self, env: gym.Env[Any, Any], observation: Any) -> bytes:
        """The cell that a frame lies in: its small picture, row by row, a byte a pixel."""
        frame = observation if is_picture(observation) else _rendered(env)
        pixels: npt.NDArray[Any] = np.asarray(frame, np.float32)
        if pixels.ndim == 3:
            pixels = pixels[:, :, -3:] @ _LUMA if pixels.shape[2] >= 3 else pixels[:, :, -1]
        small = _means(pixels.shape[0], self._height) @ pixels
        small = small @ _means(pixels.shape[1], self._width).T
        levels = np.minimum(small * (self._depth / 256), self._depth - 1)
        cell: bytes = levels.astype(np.uint8).tobytes()
        return cell


def is_picture(observation: object) -> bool:
    """Whether an observation is a picture, so that nothing need be rendered."""
    return (
        isinstance(observation, np.ndarray)
        and observation.dtype == np.uint8
        and observation.ndim in (2, 3)
        and min(observation.shape[:2]) >= _SMALLEST
    )


def _rendered(env: gym.Env[Any, Any]) -> Any:
    game: Any = env.unwrapped
    if hasattr(game, "ale"):
        return game.ale.getScreenGrayscale()
    frame = env.render() if env.render_mode == "rgb_array" else None
    if not isinstance(frame, np.ndarray):
        raise CellError(
            "The observations are no pictures and the environment does not render any, so there "
            'are no frames to make cells of. Make it with render_mode="rgb_array", or give a cell '
            "function of your own."
        )
    return frame


@lru_cache(maxsize=16)
def _means(size: int, parts: int) -> npt.NDArray[np.float32]:
    """The matrix that averages `size` pixels in `parts` equal parts, split pixels shared."""
    edges = np.linspace(0, size, parts + 1)
    starts = np.maximum(edges[:-1, None], np.arange(size))
    ends = np.minimum(edges[1:, None], np.arange(size) + 1)
    shares = np.maximum(ends - starts, 0)
    means: npt.NDArray[np.float32] = shares / shares.sum(axis=1, keepdims=True)
    return means.astype(np.float32)
