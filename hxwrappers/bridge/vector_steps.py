"""Steps of vector environments: reset modes, seeds, and real next observations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.wrappers.vector import DictInfoToList
from torch import Tensor

from hxwrappers.bridge.kinds import require_vector
from hxwrappers.errors import InvalidArgumentError


def autoreset_mode(env: VectorEnv) -> AutoresetMode:
    """Return the autoreset mode of a vector environment.

    Raises:
        InvalidArgumentError: The environment does not say.
    """
    # First the attribute: AtariVectorEnv writes its mode into the metadata of the class, which all
    # vector environments of the process share, so that a later one overwrites it.
    mode = getattr(env.unwrapped, "autoreset_mode", None) or env.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise InvalidArgumentError(
            f"{env} does not say when it resets its environments: metadata['autoreset_mode'] is "
            f"{mode!r}, but must be a gymnasium.vector.AutoresetMode. Set it in the environment."
        )
    return mode


def require_full_batches(env: VectorEnv) -> None:
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


def real_next_observations(
    observations: np.ndarray,
    over: np.ndarray,
    infos: dict[str, Any],
    read: Callable[[Any], np.ndarray],
) -> np.ndarray:
    """The observations that the steps led to, in SAME_STEP mode.

    Args:
        observations: What is looked at of what `step` returned, shape `(num_envs, ...)`.
        over: Which episodes ended in this step, shape `(num_envs,)`.
        infos: What `step` returned.
        read: What is looked at of one observation.

    Returns:
        The observations, with the final one in place of the one after the reset. A new array
        where any episode ended.

    Raises:
        InvalidArgumentError: An episode ended and its final observation is missing.
    """
    if not over.any():
        return observations
    finals = infos.get("final_obs")
    reached = observations.copy()
    for index in np.flatnonzero(over):
        final = None if finals is None else finals[index]
        if final is None:
            raise InvalidArgumentError(
                f"The episode of environment {index} ended, but there is no final observation of "
                'it in infos["final_obs"], as the autoreset mode SAME_STEP demands.'
            )
        reached[index] = read(final)
    return reached


def reached_tensors(
    observations: Tensor, over: Tensor, infos: dict[str, Any], read: Callable[[Any], Tensor]
) -> Tensor:
    """The same of an environment that holds tensors, whose final observations are a batch.

    Args:
        observations: What is looked at of what `step` returned, shape `(num_envs, ...)`.
        over: Which episodes ended in this step, shape `(num_envs,)`.
        infos: What `step` returned; ManiSkill says `final_observation`.
        read: What is looked at of a batch of observations.

    Raises:
        InvalidArgumentError: An episode ended and there are no final observations.
    """
    if not bool(over.any()):
        return observations
    finals = infos.get("final_obs", infos.get("final_observation"))
    if finals is None:
        raise InvalidArgumentError(
            'Episodes ended, but there are no final observations in infos["final_obs"], as the '
            "autoreset mode SAME_STEP demands: a tensor for all environments."
        )
    ended = over.reshape(-1, *[1] * (observations.ndim - 1))
    return torch.where(ended, read(finals), observations)


if TYPE_CHECKING:
    _AnyVectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:
    _AnyVectorWrapper = VectorWrapper  # takes parameters only in later versions of Gymnasium


class AnyVectorWrapper(_AnyVectorWrapper):
    """A wrapper that says what it is for, where it is put around something else."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        require_vector(env, self)
        super().__init__(env)
