"""How the environments of a vector begin, end and are seeded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.wrappers.vector import DictInfoToList

from hxwrappers.errors import AutoresetError, InvalidArgumentError

__all__ = ["autoreset_mode", "check_whole_batches", "lane_seeds", "reset_lanes"]


def autoreset_mode(env: VectorEnv) -> AutoresetMode:
    """Return the autoreset mode of a vector environment.

    Raises:
        AutoresetError: The environment does not say.
    """
    # First the attribute: AtariVectorEnv writes its mode into the metadata of the class, which all
    # vector environments of the process share, so that a later one overwrites it.
    mode = getattr(env.unwrapped, "autoreset_mode", None) or env.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise AutoresetError(
            f"{env} does not say when it resets its environments: metadata['autoreset_mode'] is "
            f"{mode!r}, but must be a gymnasium.vector.AutoresetMode. Set it in the environment."
        )
    return mode


def check_whole_batches(env: VectorEnv) -> None:
    """Refuse a vector environment that steps only a part of its environments, or splits its infos.

    Raises:
        InvalidArgumentError: Its `batch_size` is smaller than its number of environments, or there
            is a `DictInfoToList` in it.
    """
    batch_size = getattr(env.unwrapped, "batch_size", env.num_envs)
    if batch_size != env.num_envs:
        raise InvalidArgumentError(
            f"{env.unwrapped} steps {batch_size} of its {env.num_envs} environments at a time, "
            "which hides whose action is whose. Make it with batch_size=num_envs."
        )
    layer = env
    while isinstance(layer, VectorWrapper):
        if isinstance(layer, DictInfoToList):
            raise InvalidArgumentError(
                "DictInfoToList makes a list of the infos, and what is around it must read them, "
                "and add to them, in one dict. Put it outermost, and leave it out for a trainer."
            )
        layer = layer.env


def reset_lanes(env: VectorEnv, options: Mapping[str, Any] | None) -> npt.NDArray[np.bool_]:
    """Say which environments a `reset` with these options resets: all, or `reset_mask`.

    Read it before handing the options on, since Gymnasium takes the mask out of them.
    """
    mask = None if options is None else options.get("reset_mask")
    if mask is None:
        return np.ones(env.num_envs, dtype=np.bool_)
    # Of a tensor on a GPU no array can be made.
    return np.array(mask.tolist() if hasattr(mask, "tolist") else mask, dtype=np.bool_)


def lane_seeds(
    seed: int | list[int | None] | npt.NDArray[np.integer[Any]] | None,
    resetting: npt.NDArray[np.bool_],
) -> list[int | None]:
    """Return the seed of each environment, None where it is not reset or not seeded.

    Args:
        seed: A number s seeds environment i with s + i; a list or array has an entry for each
            environment, or (as `AtariVectorEnv` takes it) for each one that is reset.
        resetting: Which environments are reset.

    Example:
        >>> lane_seeds(5, np.array([True, False, True]))
        [5, None, 7]
    """
    if seed is None:
        return [None] * len(resetting)
    if isinstance(seed, int | np.integer):
        return [int(seed) + i if resets else None for i, resets in enumerate(resetting)]
    given = list(seed)
    if len(given) == len(resetting):
        return [given[i] if resets else None for i, resets in enumerate(resetting)]
    if len(given) == resetting.sum():
        remaining = iter(given)
        return [next(remaining) if resets else None for resets in resetting]
    raise InvalidArgumentError(
        f"There are {len(given)} seeds for {len(resetting)} environments of which "
        f"{resetting.sum()} are reset. Pass one seed, or one for each environment."
    )
