"""Checks that a wrapper is put around the kind of environment that it is for."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

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
