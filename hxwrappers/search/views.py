"""Looks of states: a small grey picture, or the numbers of the observation."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from hxwrappers.errors import DemoError
from hxwrappers.search.cells.frame_cells import grey_frame, has_frames, shrink

SIDE = 42
"""Rows and columns of the small picture: that of Laskin et al. and Burda et al., halved."""

_MOST_NUMBERS = 4096


class Frames:
    """The frame, grey, in 42 x 42 pixels.

    Attributes:
        space: The space of what it gives.
    """

    space = spaces.Box(0, 255, (SIDE, SIDE), np.uint8)

    def __call__(self, env: gym.Env[Any, Any], observation: Any) -> npt.NDArray[Any]:
        """The small picture of a state."""
        return np.rint(shrink(grey_frame(env, observation), SIDE, SIDE)).astype(np.uint8)


class Numbers:
    """The observation as one row of numbers.

    Args:
        observations: The space of the observations.

    Attributes:
        space: The space of what it gives.
    """

    def __init__(self, observations: spaces.Space[Any]) -> None:
        self._observations = observations
        size = int(spaces.flatdim(observations))
        self.space = spaces.Box(-np.inf, np.inf, (size,), np.float32)

    def __call__(self, _env: gym.Env[Any, Any], observation: Any) -> npt.NDArray[Any]:
        """The numbers of a state."""
        flat: Any = spaces.flatten(self._observations, observation)
        return np.asarray(flat, np.float32)


View = Frames | Numbers
"""Takes the environment and the observation and gives an array of its `space`."""


def says_more_in_numbers(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment's numbers are to be preferred to its pictures.

    So it is where observations are one row of numbers (a robot's joints say more than its picture)
    or a few numbers that count.
    """
    space = env.observation_space
    if hasattr(env.unwrapped, "ale"):
        return False  # the RAM of a game is such a row, but most of it are clocks
    if isinstance(space, spaces.Box):
        return len(space.shape) <= 1
    return isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)


def make_view(env: gym.Env[Any, Any], first: Any) -> View:
    """The view that fits an environment: its pictures where it has some, otherwise its numbers.

    Args:
        env: The environment.
        first: Its first observation.

    Raises:
        DemoError: There is neither.

    Example:
        >>> env = gym.make("CartPole-v1")
        >>> view = make_view(env, env.reset(seed=0)[0])
        >>> view.space.shape
        (4,)
    """
    space = env.observation_space
    if has_frames(env, first) and not says_more_in_numbers(env):
        return Frames()
    if space.is_np_flattenable and spaces.flatdim(space) <= _MOST_NUMBERS:
        return Numbers(space)
    raise DemoError(
        f"Observations of {space} can be compared neither as pictures nor as at most "
        f"{_MOST_NUMBERS:,} numbers, so that nothing tells what is new. Make the environment with "
        'render_mode="rgb_array", or put a wrapper around it whose observations are a Box.'
    )
