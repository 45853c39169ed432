"""Cell functions: coarse frames, and places read from a game's state."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from hxwrappers._utils.modules import load_function
from hxwrappers.errors import DemoError
from hxwrappers.search.cells.adaptive_cells import AdaptiveFrameCells, FrameSize
from hxwrappers.search.cells.archive import Cell
from hxwrappers.search.cells.frame_cells import FrameCells
from hxwrappers.search.cells.state_cells import GridCells, MontezumaCells

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
