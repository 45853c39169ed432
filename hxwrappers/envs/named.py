"""Environments by name, as commands take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers._utils.modules import import_advice, import_named, import_of_id
from hxwrappers.envs.atari import make_atari
from hxwrappers.envs.minigrid import make_minigrid
from hxwrappers.envs.vectors import vectorize

_OF_VECTORS = {"autoreset_mode", "backend"}


def make_vector(name: str, num_envs: int, **options: Any) -> VectorEnv:
    """Make a vector of environments that a text names.

    `info["episode"]` tells the true score and length of an episode at its end, unless a function
    of your own leaves it out.

    Args:
        name: "ALE/..." is made by `make_atari` with the preset "impala" (unless `options` say
            otherwise), "MiniGrid-..." and "BabyAI-..." by `make_minigrid`, "module:function" by
            your own function, which gets the options and returns a vector environment if it takes
            `num_envs`, or a single one; anything else by `gymnasium.make`, `module:` in front of
            an id naming the module that registers it.
        num_envs: How many environments.
        **options: For the function that makes them.

    Raises:
        InvalidArgumentError: There is no such function or module.
        gymnasium.error.Error: There is no such environment.
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
    if is_own_function(name):
        return _own(own_function(name), num_envs, options)
    import_of_id(name)
    return _side_by_side(partial(gym.make, name, **options), num_envs)


def recipe_of(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `make_from_recipe` makes the environment from that a text names.

    Args:
        name: As for `make_vector`, or "procgen/...".
        settings: Arguments of the environment; those that only vectors have are left out.

    Example:
        >>> recipe_of("CartPole-v1", {})
        {'maker': 'gymnasium', 'id': 'CartPole-v1', 'kwargs': {}}
    """
    settings = {key: value for key, value in settings.items() if key not in _OF_VECTORS}
    if name.startswith("ALE/"):
        return {"maker": "atari", "game": name, "settings": settings}
    if name.startswith(("MiniGrid-", "BabyAI-")):
        return {"maker": "minigrid", "game": name, "settings": settings}
    if name.startswith("procgen/"):
        return {"maker": "procgen", "game": name.removeprefix("procgen/"), "settings": settings}
    if is_own_function(name):
        return {"maker": "function", "function": name, "kwargs": settings}
    # Whoever makes the environment imports what registers it: a recipe names no module.
    return {"maker": "gymnasium", "id": name.rpartition(":")[2], "kwargs": settings}


def is_own_function(name: str) -> bool:
    """Whether a text names a function of the user's own, as `module:function`."""
    _, colon, function = name.partition(":")
    return bool(colon) and function.isidentifier()


def own_function(name: str) -> Callable[..., Any]:
    """Import the function that `module:function` names, from the current folder too.

    Raises:
        InvalidArgumentError: There is none.
    """
    module, _, function = name.partition(":")
    try:
        found: Callable[..., Any] = getattr(import_named(module), function)
    except (ImportError, AttributeError) as error:
        raise import_advice(name, error) from error
    return found


def _own(make: Callable[..., Any], num_envs: int, options: dict[str, Any]) -> VectorEnv:
    if "num_envs" in inspect.signature(make).parameters:
        vector: VectorEnv = make(num_envs=num_envs, **options)
        return vector
    return _side_by_side(partial(make, **options), num_envs)


def _side_by_side(make: Callable[[], gym.Env[Any, Any]], num_envs: int) -> VectorEnv:
    return vectorize(partial(_with_statistics, make), num_envs, "sync", AutoresetMode.SAME_STEP)


def _with_statistics(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    return gym.wrappers.RecordEpisodeStatistics(make())
