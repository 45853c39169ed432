"""Observations along a demonstration, as an agent would have got them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._utils.modules import import_optional
from hxwrappers.demos import Demo
from hxwrappers.envs.rooms import ROOM_BYTES
from hxwrappers.errors import InvalidArgumentError

_FRAME_SKIP = 4


class View(NamedTuple):
    """A step of a demonstration.

    Attributes:
        step: How many steps of the demonstration were taken.
        observation: As the agent would have seen it.
        room: The room in the emulator's RAM where it is known, otherwise 0.
    """

    step: int
    observation: npt.NDArray[Any]
    room: int


def views_along(demo: Demo, env: gym.Env[Any, Any], shape: tuple[int, ...]) -> Iterator[View]:
    """Replay a demonstration and see it as an agent with observations of a shape does.

    Observations of that shape are taken as they are. An Atari game recorded frame by frame is seen
    every fourth frame, grey and resized, all of a stack filled with the newest frame.

    Args:
        demo: The demonstration.
        env: Its environment (`hxwrappers.demos.make_environment`).
        shape: The shape of the agent's observations.

    Raises:
        InvalidArgumentError: The demonstration cannot be seen so.
        DependencyNotInstalled: OpenCV is missing.

    Example:
        >>> from hxwrappers.demos import make_environment, shipped
        >>> demo = shipped("montezuma-first-key")
        >>> view = next(views_along(demo, make_environment(demo), (4, 84, 84)))
        >>> view.step, view.observation.shape, view.room
        (4, (4, 84, 84), 1)
    """
    emulator: Any = env.unwrapped
    room_byte = ROOM_BYTES.get(getattr(emulator, "_game", ""))
    as_they_are = env.observation_space.shape == shape
    if not as_they_are and not (len(shape) == 3 and demo.metadata.env.get("frame_skip") == 1):
        raise InvalidArgumentError(
            f"The demonstration's observations are {env.observation_space}, and those of the model "
            f"have the shape {shape}. Take a demonstration of the same environment, or one of an "
            "Atari game frame by frame and a model of stacked grey frames."
        )
    for transition in demo.replay(env):
        if as_they_are:
            observation = np.asarray(transition.observation)
        elif transition.step % _FRAME_SKIP:
            continue
        else:
            observation = _stack(transition.observation, shape)
        room = 0 if room_byte is None else int(emulator.ale.getRAM()[room_byte])
        yield View(transition.step, observation, room)


def _stack(frame: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    cv2 = import_optional("cv2", "Frames of demonstrations need OpenCV", "atari")
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, shape[:0:-1], interpolation=cv2.INTER_AREA)
    stack: npt.NDArray[np.uint8] = np.broadcast_to(small, shape)
    return stack
