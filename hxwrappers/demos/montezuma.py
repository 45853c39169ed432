"""What is known of Montezuma's Revenge: where its RAM keeps things, and how its rooms lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym

__all__ = ["GAME", "ROOM_ROWS", "Place", "is_montezuma", "read_place", "room_position"]

GAME = "montezuma_revenge"
"""The game's name in the Arcade Learning Environment."""

ROOM_ROWS = slice(47, 198)
"""The rows of the screen that show the room; above are score, lives and inventory."""

_ROOM, _X, _Y, _LEVEL, _INVENTORY = 3, 42, 43, 57, 65
_FIRST_ROOM_OF_ROW = (0, 3, 8, 15, 24)
_FEET_AT, _MIDDLE = 328, 3


class Place(NamedTuple):
    """Where the player is and what it carries, as the RAM has it.

    Attributes:
        level: The level, from 0.
        room: The room, 0 to 23.
        inventory: The byte whose bits stand for keys, torch, swords and amulet.
        x: Across, from the left.
        y: Upwards.
    """

    level: int
    room: int
    inventory: int
    x: int
    y: int

    def on_screen(self) -> tuple[int, int]:
        """Column and row of the screen at which the player's feet are.

        Example:
            >>> Place(0, 1, 0, 77, 235).on_screen()
            (80, 93)
        """
        return self.x + _MIDDLE, _FEET_AT - self.y


def is_montezuma(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment is this game."""
    return getattr(env.unwrapped, "_game", None) == GAME


def read_place(env: gym.Env[Any, Any]) -> Place:
    """Where the player is now."""
    game: Any = env.unwrapped
    ram = game.ale.getRAM().tolist()
    return Place(ram[_LEVEL], ram[_ROOM], ram[_INVENTORY], ram[_X], ram[_Y])


def room_position(room: int) -> tuple[int, int]:
    """Where a room lies in the pyramid: its row from the top and its column from the middle.

    Args:
        room: The room, 0 to 23.

    Example:
        >>> room_position(1), room_position(3), room_position(14), room_position(15)
        ((0, 0), (1, -2), (2, 3), (3, -4))
    """
    row = next(row for row, first in enumerate(_FIRST_ROOM_OF_ROW[1:]) if room < first)
    middle = (_FIRST_ROOM_OF_ROW[row] + _FIRST_ROOM_OF_ROW[row + 1] - 1) // 2
    return row, room - middle
