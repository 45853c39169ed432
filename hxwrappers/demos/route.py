"""The route of a demonstration: what its replay shows on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.demos.demo import Demo
from hxwrappers.demos.montezuma import ROOM_ROWS, Place, is_montezuma, read_place
from hxwrappers.errors import InvalidArgumentError

__all__ = ["Moment", "Route", "follow"]

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
            route.places.append(_note_place(env, transition.step, pictures))
        if progress is not None:
            progress(transition.step)
    route.rooms = {room: _without_movement(shown) for room, shown in pictures.items()}
    return route


def _note_place(
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


def _without_movement(pictures: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    middle: npt.NDArray[np.uint8] = np.median(np.stack(pictures), axis=0).astype(np.uint8)
    return middle


def _spread(steps: list[int], count: int) -> set[int]:
    if len(steps) <= count:
        return set(steps)
    return {steps[at] for at in np.linspace(0, len(steps) - 1, count).round().astype(int)}


def _picture(env: gym.Env[Any, Any]) -> npt.NDArray[np.uint8]:
    return np.array(env.render(), np.uint8)
