"""Cells from frames that note the rooms of Montezuma's Revenge which they come from."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from hxwrappers.search.cells.cells import FrameCells

__all__ = ["ROOMS", "noting_rooms"]

ROOM_BYTE = 3
ROOMS: set[int] = set()
"""What `noting_rooms` has seen in this process."""
_FRAMES = FrameCells()


def noting_rooms(env: gym.Env[Any, Any], observation: Any) -> bytes:
    """The cells `frame`, which know no rooms."""
    game: Any = env.unwrapped
    ROOMS.add(int(game.ale.getRAM()[ROOM_BYTE]))
    return _FRAMES(env, observation)
