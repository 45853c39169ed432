"""Cell functions: coarse frames of fixed or adapted size, and places read from a game's state."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._utils.modules import load_function
from hxwrappers.demos.route import is_montezuma, read_place
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.search.cells.archive import Cell

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


MontezumaCell = tuple[int, int, int, int, int]


class MontezumaCells:
    """Level, room, position and what is carried in Montezuma's Revenge, read from its RAM.

    This is knowledge of the game, as go-explore used it in its second set of experiments (Ecoffet
    et al. 2019, section 2.1.1). A cell is `(level, room, inventory, x, y)`; the inventory is the
    byte whose bits stand for keys, torch, swords and amulet.

    Args:
        env: The game.
        bin_x: Pixels that count as one place, across.
        bin_y: Pixels that count as one place, down.

    Raises:
        DemoError: The environment is another game.
        InvalidArgumentError: A bin is not positive.
    """

    def __init__(self, env: gym.Env[Any, Any], bin_x: int = 8, bin_y: int = 8) -> None:
        if not is_montezuma(env):
            raise DemoError(
                "The cells called montezuma read the RAM of Montezuma's Revenge, but the "
                f"environment is {getattr(env.unwrapped, '_game', env)}. Use frame, or a function "
                "of your own."
            )
        if bin_x < 1 or bin_y < 1:
            raise InvalidArgumentError(
                f"Places of {bin_x} x {bin_y} pixels were asked for; give at least one."
            )
        self._bin_x, self._bin_y = bin_x, bin_y

    def __call__(self, env: gym.Env[Any, Any], _observation: Any) -> MontezumaCell:
        """The cell that the game is in now."""
        place = read_place(env)
        return (
            place.level,
            place.room,
            place.inventory,
            place.x // self._bin_x,
            place.y // self._bin_y,
        )

    def room(self, cell: MontezumaCell) -> tuple[int, int]:
        """The level and the room of a cell."""
        return cell[:2]


class GridCells:
    """Where the agent of a MiniGrid task is, where it looks, what it carries, and the grid.

    The grid enters as a checksum, so that a door that was opened makes other cells.

    Args:
        env: The task.

    Raises:
        DemoError: The environment is no MiniGrid task.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        if not all(hasattr(env.unwrapped, name) for name in ("agent_pos", "agent_dir", "carrying")):
            raise DemoError(f"The cells called minigrid are for MiniGrid tasks, not for {env}.")

    def __call__(self, env: gym.Env[Any, Any], _observation: Any) -> tuple[int | str, ...]:
        """The cell that the task is in now."""
        task: Any = env.unwrapped
        held = task.carrying
        x, y = (int(part) for part in task.agent_pos)
        return (
            x,
            y,
            int(task.agent_dir),
            "" if held is None else f"{held.color} {held.type}",
            zlib.crc32(task.grid.encode().tobytes()),
        )


CellFunction = Callable[[gym.Env[Any, Any], Any], Cell]
"""Takes the environment and the observation and gives the cell. It may have an attribute `room`, a
function from a cell to the room that it lies in; the search then counts rooms."""

_USERS_OWN = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")


@dataclass(frozen=True)
class CellSettings:
    """Which cells, and how coarse.

    Attributes:
        kind: `"frame"`, `"adaptive"` (frames whose size follows what is seen, beginning with the
            size given here), `"observation"` (each observation is a cell), `"montezuma"`,
            `"minigrid"`, or a function of your own as `"module:function"`.
        width: Columns of the downscaled frame.
        height: Rows of the downscaled frame.
        depth: Levels of grey of the downscaled frame.
        bin_x: Pixels that count as one place, across (`"montezuma"`).
        bin_y: Pixels that count as one place, down (`"montezuma"`).
    """

    kind: str = "frame"
    width: int = 11
    height: int = 8
    depth: int = 8
    bin_x: int = 8
    bin_y: int = 8


def make_cells(settings: CellSettings, env: gym.Env[Any, Any]) -> CellFunction:
    """The cell function that the settings ask for.

    Args:
        settings: Which cells.
        env: The environment that it will be called with.

    Raises:
        DemoError: There is no such function, or it does not fit the environment.
        InvalidArgumentError: A size is out of range.
    """
    match settings.kind:
        case "frame":
            return FrameCells(settings.width, settings.height, settings.depth)
        case "adaptive":
            return AdaptiveFrameCells(FrameSize(settings.width, settings.height, settings.depth))
        case "observation":
            return observation_cells
        case "montezuma":
            return MontezumaCells(env, settings.bin_x, settings.bin_y)
        case "minigrid":
            return GridCells(env)
        case kind if _USERS_OWN.match(kind):
            return load_function(kind, "cell", DemoError)
        case kind:
            raise DemoError(
                f"There are no cells called {kind!r}. Give frame, adaptive, observation, "
                'montezuma, minigrid, or a function of your own as "module:function".'
            )


def observation_cells(_env: gym.Env[Any, Any], observation: Any) -> Cell:
    """Each observation is a cell of its own: for small tasks, such as the toy texts.

    Example:
        >>> observation_cells(gym.Env(), 7)
        7
    """
    return observation.tobytes() if isinstance(observation, np.ndarray) else observation


def checked_cell(cell: Any, cells: CellFunction) -> Cell:
    """A cell in a form that can be kept in a file.

    Raises:
        DemoError: It is something else than None, numbers, strings, bytes, and tuples of these.
    """
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or isinstance(cell, bool | int | float | str | bytes):
        return cell
    if isinstance(cell, tuple):
        return tuple(checked_cell(part, cells) for part in cell)
    raise DemoError(
        f"The cell function {_name(cells)} returned a {type(cell).__name__}, but a cell is None, a "
        "number, a string, bytes, or a tuple of these. For an array return array.tobytes()."
    )


def call_cells(cells: CellFunction, env: gym.Env[Any, Any], observation: Any) -> Cell:
    """Call a cell function.

    Raises:
        DemoError: It failed; what it raised is the cause.
    """
    try:
        return cells(env, observation)
    except DemoError:
        raise
    except Exception as error:  # a user's function fails in its own ways
        raise DemoError(
            f"The cell function {_name(cells)} failed: {type(error).__name__}: {error}. It is "
            "called with the environment and the observation."
        ) from error


def _name(cells: CellFunction) -> str:
    return str(getattr(cells, "__qualname__", type(cells).__qualname__))
