"""Vectors of environments by name, as commands take them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers.envs._build import vectorize
from hxwrappers.envs.atari import make_atari
from hxwrappers.envs.minigrid import make_minigrid
from hxwrappers.errors import InvalidArgumentError

__all__ = ["make_vector"]


def make_vector(name: str, num_envs: int, **options: Any) -> VectorEnv:
    """Make a vector of environments that a text names.

    `info["episode"]` tells the true score and length of an episode at its end, unless a function
    of your own leaves it out.

    Args:
        name: "ALE/..." is made by `make_atari` with the preset "impala" (unless `options` say
            otherwise), "MiniGrid-..." and "BabyAI-..." by `make_minigrid`, "module:function" by
            your own function, which gets the options and returns a vector environment if it takes
            `num_envs`, or a single one; anything else by `gymnasium.make`.
        num_envs: How many environments.
        **options: For the function that makes them.

    Raises:
        InvalidArgumentError: There is no such environment or function.
        DependencyNotInstalled: The package that brings the environment is missing.

    Example:
        >>> make_vector("CartPole-v1", 3).reset(seed=0)[0].shape
        (3, 4)
        >>> make_vector("ALE/Pong-v5", 2, frame_stack=1).reset(seed=0)[0].shape
        (2, 1, 84, 84)
    """
    if name.startswith("ALE/"):
        return make_atari(name, num_envs=num_envs, **({"preset": "impala"} | options))
    if name.startswith(("MiniGrid-", "BabyAI-")):
        return make_minigrid(name, num_envs=num_envs, **options)
    module, colon, function = name.partition(":")
    if colon and function.isidentifier():
        return _own(module, function, num_envs, options)
    return _side_by_side(partial(gym.make, name, **options), num_envs)


def _own(module: str, function: str, num_envs: int, options: dict[str, Any]) -> VectorEnv:
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InvalidArgumentError(
            f"{module}:{function} cannot be imported ({error}). Name a function of a module that "
            "Python finds, for example one in the current folder."
        ) from error
    if "num_envs" in inspect.signature(make).parameters:
        vector: VectorEnv = make(num_envs=num_envs, **options)
        return vector
    return _side_by_side(partial(make, **options), num_envs)


def _side_by_side(make: Callable[[], gym.Env[Any, Any]], num_envs: int) -> VectorEnv:
    return vectorize(partial(_with_statistics, make), num_envs, "sync", AutoresetMode.SAME_STEP)


def _with_statistics(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    return gym.wrappers.RecordEpisodeStatistics(make())
