"""Telling the three kinds of environments apart, for those who hand over another one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.wrappers._kinds import described

__all__ = ["hide_training", "require_vec_env", "require_vector_env"]


def require_vec_env(venv: Any, wrapper: object) -> None:
    """Refuse what is no vector environment of Stable-Baselines3.

    Args:
        venv: What was handed to the wrapper.
        wrapper: The wrapper, which is named, or the name of what takes it.

    Raises:
        InvalidArgumentError: It is another kind of environment, or none.
    """
    if isinstance(venv, VecEnv):
        return
    name = wrapper if isinstance(wrapper, str) else type(wrapper).__name__
    if isinstance(venv, VectorEnv):
        advice = "Put it through hxwrappers.sb3.from_vector_env first."
    elif isinstance(venv, gym.Env) and name.startswith("Vec"):
        advice = (
            f"Around one environment put hxwrappers.{name.removeprefix('Vec')}, or make a vector "
            "of it with stable_baselines3.common.env_util.make_vec_env."
        )
    else:
        advice = "Make one with stable_baselines3.common.env_util.make_vec_env."
    raise InvalidArgumentError(
        f"{name} takes a vector environment of Stable-Baselines3 (a VecEnv), not "
        f"{described(venv)}. {advice}"
    )


def hide_training(wrapper: VecEnvWrapper) -> None:
    """Let wrappers outside read `training` of the one that has it, past one that hands it on.

    Stable-Baselines3 refuses to read through a wrapper what two wrappers inside have.
    """
    del wrapper.class_attributes["training"]


def require_vector_env(env: Any) -> None:
    """Refuse what is no `gymnasium.vector` environment.

    Args:
        env: What was handed to the adapter.

    Raises:
        InvalidArgumentError: It is another kind of environment, or none.
    """
    if isinstance(env, VectorEnv):
        return
    if isinstance(env, VecEnv):
        advice = "This one is of Stable-Baselines3 already and needs no adapter."
    else:
        advice = "Make one with gymnasium.make_vec(id, num_envs=...)."
    raise InvalidArgumentError(
        f"from_vector_env takes a gymnasium.vector environment, not {described(env)}. {advice}"
    )
