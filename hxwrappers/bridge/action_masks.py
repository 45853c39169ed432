"""Action masks: which actions are legal now, as environments say it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from hxwrappers._utils.checks import brief
from hxwrappers.errors import InvalidArgumentError

METHOD = "action_masks"
"""What sb3-contrib's `MaskablePPO` asks an environment for."""
KEY = "action_mask"
"""Where Gymnasium's `info`, and the Dict observations of PettingZoo and RLlib, hold the mask."""


def flat_mask(mask: Any, space: gym.Space[Any]) -> npt.NDArray[np.bool_]:
    """A mask of the actions of one environment, as one array of its own.

    Args:
        mask: One entry for each action of a Discrete space, true or 1 where it is legal; for each
            action of each part of a MultiDiscrete one, in one array or in a tuple of arrays; for 0
            and for 1 of each part of a MultiBinary one.
        space: The space of one environment's actions.

    Raises:
        InvalidArgumentError: It is no such mask, or there are none for such actions.

    Example:
        >>> flat_mask(([1, 0], [0, 1, 1]), spaces.MultiDiscrete([2, 3])).tolist()
        [True, False, False, True, True]
    """
    size = _mask_size(space)
    parts = mask if isinstance(mask, tuple | list) else [mask]
    flat = np.concatenate([np.ravel(np.asarray(part)) for part in parts])
    if flat.size != size or not ((flat == 0) | (flat == 1)).all():
        raise InvalidArgumentError(
            f"The environment's action mask is {brief(repr(mask))}, but one for {space} has {size} "
            "entries, each 0 or 1. Wrappers that change observations (VecNormalize, frame stacks) "
            "must leave the mask in them alone."
        )
    return flat.astype(np.bool_)


def is_legal(action: Any, mask: npt.NDArray[np.bool_] | None, space: gym.Space[Any]) -> bool:
    """Whether a mask allows an action.

    Args:
        action: One environment's action.
        mask: What `flat_mask` returned, or None where there is none.
        space: The space of one environment's actions.

    Example:
        >>> is_legal(1, flat_mask([1, 0], spaces.Discrete(2)), spaces.Discrete(2))
        False
    """
    if mask is None:
        return True
    if isinstance(space, spaces.Discrete):
        return bool(mask[int(action) - int(space.start)])
    parts = np.ravel(action).astype(np.int64)  # policies of Stable-Baselines3 give floats
    if isinstance(space, spaces.MultiDiscrete):
        parts = parts - np.ravel(space.start)
        sizes = np.ravel(space.nvec)
    else:
        sizes = np.full(parts.size, 2)
    return bool(mask[np.cumsum(sizes) - sizes + parts].all())


def _mask_size(space: gym.Space[Any]) -> int:
    match space:
        case spaces.Discrete():
            return int(space.n)
        case spaces.MultiDiscrete():
            return int(np.sum(space.nvec))
        case spaces.MultiBinary():
            return 2 * int(np.prod(space.shape))
    raise InvalidArgumentError(
        f"The environment masks its actions, but there are no masks for {space}: only for "
        "Discrete, MultiDiscrete and MultiBinary actions. Take the mask out of the environment."
    )


def mask_row(observations: Any, index: int) -> dict[str, Any] | None:
    """The mask in one environment's row of a batch of Dict observations; None without one."""
    if isinstance(observations, dict) and KEY in observations:
        return {KEY: observations[KEY][index]}
    return None
