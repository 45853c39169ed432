"""Actions of demonstrations: which spaces have them, and the dtypes they are kept and taken in."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.errors import DemoError


def holds_numbers(space: gym.Space[Any]) -> bool:
    """Whether the actions of a space are numbers or arrays of them."""
    return space.shape is not None and space.dtype is not None and space.dtype.kind in "biuf"


def require_actions_of(space: gym.Space[Any], actions: npt.NDArray[Any]) -> None:
    """Refuse actions of a demonstration that an action space does not have.

    Raises:
        DemoError: One is out of range, or their shape or dtype is another.
    """
    shape = actions.shape[1:]
    if isinstance(space, gym.spaces.Discrete):
        fits = shape == () and actions.dtype.kind in "iu"
        fits = fits and bool(((actions >= space.start) & (actions < space.start + space.n)).all())
    elif isinstance(space, gym.spaces.MultiDiscrete):
        fits = shape == space.shape
        fits = fits and bool(
            ((actions >= space.start) & (actions < space.start + space.nvec)).all()
        )
    else:
        fits = shape == space.shape
    if not fits:
        raise DemoError(
            f"The demonstration has actions that {space} does not have: {actions.dtype} of shape "
            f"{actions.shape}, or out of range. It is of another environment, or damaged."
        )


def replay_dtype(stored: np.dtype[Any], space: gym.Space[Any]) -> np.dtype[Any]:
    """The dtype in which actions that are arrays are taken: the space's, or their own if wider.

    Args:
        stored: The dtype that the actions have.
        space: Their space.
    """
    return np.result_type(stored, space.dtype)


def smallest_actions(actions: list[Any], space: gym.spaces.Space[Any]) -> np.ndarray[Any, Any]:
    """Actions as one array: whole numbers of the smallest dtype that holds them, others of theirs.

    Args:
        actions: The actions.
        space: Their space, for the shape and dtype where there are none.
    """
    if isinstance(space, gym.spaces.Discrete):
        return smallest_integers(np.array(actions, np.int64))
    if not actions:
        return np.zeros((0, *(space.shape or ())), space.dtype)
    return np.stack(actions)


def smallest_integers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Integers as an array of the smallest dtype that holds them exactly.

    Args:
        values: Integers of any dtype.

    Example:
        >>> smallest_integers(np.array([0, 255])).dtype, smallest_integers(np.array([-1, 1])).dtype
        (dtype('uint8'), dtype('int16'))
    """
    for dtype in (np.uint8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if not len(values) or (values.min() >= limits.min and values.max() <= limits.max):
            return values.astype(dtype)
    return values
