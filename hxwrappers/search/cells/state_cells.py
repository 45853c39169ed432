"""Cells that are read from a game's own state: Montezuma's Revenge and MiniGrid."""

from __future__ import annotations

import zlib
from typing import Any

import gymnasium as gym

from hxwrappers.demos.route import is_montezuma, read_place
from hxwrappers.errors import DemoError, InvalidArgumentError

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
