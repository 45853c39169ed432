"""The map of the rooms of Montezuma's Revenge: each level's pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos.route import ROOM_ROWS, Place, room_position
from hxwrappers.runs.plots import pyplot

ROOM_WIDTH, ROOM_HEIGHT = 160, ROOM_ROWS.stop - ROOM_ROWS.start
_LEVEL_ROWS, _ROOMS, _GAP = 4, 24, 6


def corner(room: int) -> tuple[int, int]:
    """Where a room's upper left corner is on the map."""
    row, column = room_position(room)
    return column * (ROOM_WIDTH + _GAP), row * (ROOM_HEIGHT + _GAP)


def on_map(place: Place) -> tuple[int, int]:
    """Where a place is on the map of its level."""
    left, top = corner(place.room)
    x, y = place.on_screen()
    return left + x, top + min(max(y - ROOM_ROWS.start, 0), ROOM_HEIGHT)


def draw_rooms(
    axis: Any, pictures: Mapping[tuple[int, int], npt.NDArray[np.uint8]], level: int
) -> None:
    """Draw the rooms of a level, those that were seen as they look and the others empty.

    Args:
        axis: Matplotlib's axes.
        pictures: The pictures of rooms, each `(151, 160, 3)`, by level and number.
        level: The level, from 0.
    """
    for number in range(_ROOMS):
        left, top = corner(number)
        axis.add_patch(
            pyplot().Rectangle(
                (left, top),
                ROOM_WIDTH,
                ROOM_HEIGHT,
                facecolor="0.96",
                edgecolor="0.8",
                linewidth=0.6,
            )
        )
        picture = pictures.get((level, number))
        if picture is not None:
            # Dimmed, so that the ways stand out.
            axis.imshow(
                picture * np.float32(0.6 / 255),
                extent=(left, left + ROOM_WIDTH, top + ROOM_HEIGHT, top),
                zorder=2,
            )
        colour = "0.6" if picture is None else "white"
        axis.text(left + 6, top + 22, str(number), fontsize=7, color=colour, zorder=5)
    axis.set_aspect("equal")
    axis.set_xlim(corner(15)[0] - _GAP, corner(23)[0] + ROOM_WIDTH + _GAP)
    axis.set_ylim(_LEVEL_ROWS * (ROOM_HEIGHT + _GAP), -_GAP)
    axis.set_axis_off()
