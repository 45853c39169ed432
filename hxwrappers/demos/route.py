"""The route of a demonstration, with places in Montezuma's Revenge read from its RAM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.demos.demo import Demo
from hxwrappers.errors import InvalidArgumentError

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


_PICTURES_OF_ROOM = 31
_PICTURE_EVERY = 6

Room = tuple[int, int]
"""Level and room."""


@dataclass(frozen=True)
class Moment:
    """A picture of a step.

    Attributes:
        step: The step.
        score: The return up to it.
        frame: The picture, `(height, width, 3)`, `uint8`.
    """

    step: int
    score: float
    frame: npt.NDArray[np.uint8]


@dataclass
class Route:
    """What the replay of a demonstration shows.

    Attributes:
        rewards: Each reward's step and size.
        deaths: The steps at which a life was lost.
        moments: Pictures of the rewards, no more than asked for and spread over all of them, and
            of the end.
        places: Where the player was after each step, in Montezuma's Revenge; otherwise empty.
        rooms: A picture of each room without what moves in it, in the order in which they were
            entered; likewise.
    """

    rewards: list[tuple[int, float]] = field(default_factory=list)
    deaths: list[int] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    rooms: dict[Room, npt.NDArray[np.uint8]] = field(default_factory=dict)


def follow(
    demo: Demo,
    env: gym.Env[Any, Any],
    *,
    moments: int = 7,
    progress: Callable[[int], object] | None = None,
) -> Route:
    """Replay a demonstration and note its route.

    Args:
        demo: The demonstration.
        env: Its environment, made with `render_mode="rgb_array"`.
        moments: How many rewards to keep pictures of at most.
        progress: Called with the number of steps replayed, for each.

    Raises:
        InvalidArgumentError: The environment does not render, or the demonstration has no steps.
    """
    if env.render_mode != "rgb_array" or not len(demo):
        raise InvalidArgumentError(
            f"The environment's render_mode is {env.render_mode!r} and the demonstration has "
            f'{len(demo)} steps; make it with render_mode="rgb_array", and record some steps.'
        )
    route = Route([(int(at) + 1, float(demo.rewards[at])) for at in np.flatnonzero(demo.rewards)])
    wanted = _spread([step for step, _ in route.rewards], moments) | {len(demo)}
    returns = demo.returns()
    pictures: dict[Room, list[npt.NDArray[np.uint8]]] = {}
    lives: int | None = None
    for transition in demo.replay(env):
        left = transition.info.get("lives")
        if lives is not None and left is not None and left < lives:
            route.deaths.append(transition.step)
        lives = left
        if transition.step in wanted:
            route.moments.append(
                Moment(transition.step, float(returns[transition.step]), _picture(env))
            )
        if is_montezuma(env):
            route.places.append(_record_place(env, transition.step, pictures))
        if progress is not None:
            progress(transition.step)
    route.rooms = {room: _merge_still_moments(shown) for room, shown in pictures.items()}
    return route


def _record_place(
    env: gym.Env[Any, Any], step: int, pictures: dict[Room, list[npt.NDArray[np.uint8]]]
) -> Place:
    place = read_place(env)
    shown = pictures.setdefault((place.level, place.room), [])
    if step % _PICTURE_EVERY == 0 or not shown:
        shown.append(_picture(env)[ROOM_ROWS])
        if len(shown) > _PICTURES_OF_ROOM:
            # Of two neighbours one goes, so that those kept stay spread over the visit.
            del shown[1 + step // _PICTURE_EVERY % (len(shown) - 2)]
    return place


def _merge_still_moments(pictures: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    middle: npt.NDArray[np.uint8] = np.median(np.stack(pictures), axis=0).astype(np.uint8)
    return middle


def _spread(steps: list[int], count: int) -> set[int]:
    if len(steps) <= count:
        return set(steps)
    return {steps[at] for at in np.linspace(0, len(steps) - 1, count).round().astype(int)}


def _picture(env: gym.Env[Any, Any]) -> npt.NDArray[np.uint8]:
    return np.array(env.render(), np.uint8)
