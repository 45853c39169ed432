"""Signatures of states: small pictures or comparable numbers that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from hxwrappers.errors import DemoError
from hxwrappers.search.cells.cells import grey_frame, has_frames, shrink

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


Vectors = list[npt.NDArray[np.float32]]

_MARKS, _SCENE = 14, 8
_LEVELS = 20
"""Levels of grey, of 255, by which a pixel must differ from the scene to be a mark."""
_SCENE_WEIGHT = 1.5
_SPREAD = 0.8
SCENE_DISTANCE = 0.6
"""Scenes farther apart are different ones: an enemy that moves makes 0.2, another room about 1."""
FEWEST_SIBLINGS = 3
"""Without so many pictures nothing tells the scene from what the actions moved."""


def signatures(views: Sequence[npt.NDArray[Any]]) -> Vectors:
    """What tells apart the states that several explorations reached from one state.

    For pictures: all began in one state and took equally many actions, and so whatever moves by
    itself (enemies, clocks) looks alike in all of them. The median picture is the scene without
    what the actions move, and what differs from it is the mark that the actions have left: mostly
    the player, where it is. The signature is the mark, blurred, with length 1 wherever there is
    one, and beside it the scene in few pixels. Nothing needs to be known of the game.

    Numbers are their own signature.

    Args:
        views: Pictures of 42 x 42 pixels, or rows of numbers.

    Returns:
        A vector for each; none for fewer than three pictures.
    """
    if len(views) and views[0].ndim == 1:
        return [np.asarray(view, np.float32) for view in views]
    if len(views) < FEWEST_SIBLINGS:
        return []
    pictures = np.stack(views)
    middle = (len(pictures) - 1) // 2
    scene = np.partition(pictures, middle, axis=0)[middle]
    marks = np.abs(pictures.astype(np.int16) - scene) > _LEVELS
    blur = _blurring()
    below = _SCENE_WEIGHT * shrink(scene, _SCENE, _SCENE).reshape(-1) / 255
    vectors = []
    for mark in marks:
        spread = (blur @ mark.astype(np.float32) @ blur.T).reshape(-1)
        length = float(np.sqrt(spread @ spread))
        vectors.append(np.concatenate([spread / length if length else spread, below]))
    return vectors


def scene_part(view: View) -> slice:
    """Where in a signature of a view the scene is; nowhere in numbers."""
    return slice(_MARKS**2, None) if isinstance(view, Frames) else slice(0, 0)


def vector_size(view: View) -> int:
    """How many numbers a signature of a view has."""
    if isinstance(view, Frames):
        return _MARKS**2 + _SCENE**2
    return int(view.space.shape[0])


@lru_cache(maxsize=1)
def _blurring() -> npt.NDArray[np.float32]:
    """The matrix that shrinks a side of the picture to that of the marks, and blurs it."""
    places = np.arange(_MARKS)
    weights = np.exp(-((places[:, None] - places) ** 2) / (2 * _SPREAD**2))
    blur = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    matrix: npt.NDArray[np.float32] = blur @ np.repeat(
        np.eye(_MARKS, dtype=np.float32), SIDE // _MARKS, axis=1
    )
    return matrix


_FIRST = 64


class Scale:
    """Divides numbers by their standard deviation; signatures of pictures stay as they are.

    The deviations are taken over at 64 explorations and whenever their number has doubled since, so
    that distances stay the same in between.

    Args:
        view: What the states look like.
        size: Numbers of a vector.
    """

    def __init__(self, view: View, size: int) -> None:
        self._fixed = isinstance(view, Frames)
        self._count, self._due = 0, _FIRST
        self._mean, self._squares = np.zeros(size), np.zeros(size)
        self._factors = np.ones(size, np.float32)

    def scaled(self, vector: npt.NDArray[Any] | None) -> npt.NDArray[np.float32]:
        """A vector in the scale as it is now; it counts for the next one."""
        assert vector is not None, "only states are scaled"
        if self._fixed:
            return vector
        self._count += 1
        step = vector - self._mean
        self._mean += step / self._count
        self._squares += step * (vector - self._mean)
        scaled: npt.NDArray[np.float32] = (vector * self._factors).astype(np.float32)
        return scaled

    def due(self, explorations: int) -> npt.NDArray[np.float32] | None:
        """What to multiply all scaled vectors by now, or None where the scale stays."""
        if self._fixed or explorations < self._due:
            return None
        self._due = 2 * explorations
        deviation = np.sqrt(self._squares / max(self._count, 1))
        # What has never varied tells nothing apart, but may begin to: it keeps its own unit then.
        factors = np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 1)
        changed = (factors / self._factors).astype(np.float32)
        self._factors = factors.astype(np.float32)
        return changed

    def state_dict(self) -> dict[str, Any]:
        """All that it has counted."""
        return {
            "count": self._count,
            "due": self._due,
            "mean": torch.from_numpy(self._mean.copy()),
            "squares": torch.from_numpy(self._squares.copy()),
            "factors": torch.from_numpy(self._factors.copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become what `state_dict` gave.

        Raises:
            ValueError: It is of vectors of another size.
        """
        parts = [state[name].numpy().copy() for name in ("mean", "squares", "factors")]
        if any(part.shape != self._mean.shape for part in parts):
            raise ValueError("a scale of vectors of another size")
        self._count, self._due = int(state["count"]), int(state["due"])
        self._mean, self._squares, self._factors = parts
