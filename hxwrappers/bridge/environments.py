"""Environments: the kinds that wrappers take, the training switch inside, steps of vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.wrappers.vector import DictInfoToList
from torch import Tensor

from hxwrappers._utils.checks import brief
from hxwrappers.errors import InvalidArgumentError

_WITH_VECTOR_FORM = ("RNDBonus", "CNDBonus", "StickyActions", "YouTubeImitationReward")


def require_env(env: Any, wrapper: object) -> None:
    """Refuse what is no single environment.

    Args:
        env: What was handed to the wrapper.
        wrapper: The wrapper, which is named.

    Raises:
        InvalidArgumentError: It is another kind of environment, or none.
    """
    if isinstance(env, gym.Env):
        return
    name = type(wrapper).__name__
    vector = isinstance(env, VectorEnv)
    if (vector or is_sb3_vector(env)) and name in _WITH_VECTOR_FORM:
        form = f"vector.{name}" if vector else f"sb3.Vec{name}"
        advice = f"Around a vector like this one put hxwrappers.{form}."
    elif vector or is_sb3_vector(env):
        advice = "Put it around each of the environments that the vector is made of."
    else:
        advice = "Make one with gymnasium.make(id)."
    raise InvalidArgumentError(
        f"{name} wraps one environment (a gymnasium.Env), not {described(env)}. {advice}"
    )


def require_vector(env: Any, wrapper: object) -> None:
    """Refuse what is no `gymnasium.vector` environment.

    Args:
        env: What was handed to the wrapper.
        wrapper: The wrapper, which is named.

    Raises:
        InvalidArgumentError: It is another kind of environment, or none.
    """
    if isinstance(env, VectorEnv):
        return
    name = type(wrapper).__name__
    if is_sb3_vector(env):
        advice = f"Around a VecEnv of Stable-Baselines3 put hxwrappers.sb3.Vec{name}."
    elif isinstance(env, gym.Env):
        advice = f"Around one environment put hxwrappers.{name}."
    else:
        advice = "Make one with gymnasium.make_vec(id, num_envs=...)."
    raise InvalidArgumentError(
        f"hxwrappers.vector.{name} wraps a gymnasium.vector environment, not {described(env)}. "
        f"{advice}"
    )


def is_sb3_vector(env: object) -> bool:
    """Whether it is a VecEnv of Stable-Baselines3, which need not be installed."""
    return any(
        kind.__module__.startswith("stable_baselines3.") and kind.__name__ == "VecEnv"
        for kind in type(env).__mro__
    )


def described(thing: object) -> str:
    """What was handed over, in a few words."""
    return brief(thing if isinstance(thing, gym.Env | VectorEnv) else repr(thing), 100)


class TrainingSwitch:
    """Reads and sets `training` where it is: at the nearest wrapper inside that has it.

    Without this, setting it outside would only make an attribute that nobody looks at.
    """

    @property
    def training(self) -> bool:
        """That of the nearest wrapper inside which has one; there is none where none has."""
        return bool(_owner(self).training)

    @training.setter
    def training(self, value: bool) -> None:
        _owner(self).training = value


def _owner(wrapper: Any) -> Any:
    layer = wrapper
    # What a layer has itself is asked, since Stable-Baselines3's wrappers also answer for those
    # inside, but do not set there.
    while (layer := vars(layer).get("env", vars(layer).get("venv"))) is not None:
        if "training" in dir(layer):
            return layer
    raise AttributeError(
        f"{type(wrapper).__name__!r} has no attribute 'training', since nothing inside it has one."
    )


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
