"""Cells that need no knowledge of the game: small, coarse, grey frames."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.errors import DemoError, InvalidArgumentError

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
        return self.of_grey(grey_frame(env, observation))

    def of_grey(self, frame: npt.NDArray[Any]) -> bytes:
        """The cell of a frame in grey, shape `(height, width)`, 0 to 255."""
        small = shrink(frame, self._width, self._height)
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


def has_frames(env: gym.Env[Any, Any], observation: Any) -> bool:
    """Whether there is a frame to be had: an observation that is one, a screen, or a rendering."""
    return (
        is_picture(observation) or hasattr(env.unwrapped, "ale") or env.render_mode == "rgb_array"
    )


def grey_frame(env: gym.Env[Any, Any], observation: Any) -> npt.NDArray[Any]:
    """The frame in grey: the observation where it is one, or the screen, or what is rendered.

    Returns:
        Shape `(height, width)`, 0 to 255, uint8 or float32.

    Raises:
        DemoError: There is none.
    """
    frame = observation if is_picture(observation) else _rendered(env)
    if frame.ndim == 2:
        return frame
    pixels: npt.NDArray[np.float32] = np.asarray(frame, np.float32)
    return pixels[:, :, -3:] @ _LUMA if pixels.shape[2] >= 3 else pixels[:, :, -1]


def shrink(frame: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[np.float32]:
    """A grey frame in fewer pixels, each the mean of those it stands for.

    Example:
        >>> shrink(np.eye(4), 2, 2).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    rows = _means(frame.shape[0], height) @ frame.astype(np.float32)
    small: npt.NDArray[np.float32] = rows @ _means(frame.shape[1], width).T
    return small


def _rendered(env: gym.Env[Any, Any]) -> npt.NDArray[Any]:
    game: Any = env.unwrapped
    if hasattr(game, "ale"):
        screen: npt.NDArray[np.uint8] = game.ale.getScreenGrayscale()
        return screen
    frame: Any = env.render() if env.render_mode == "rgb_array" else None
    if not isinstance(frame, np.ndarray):
        raise DemoError(
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
