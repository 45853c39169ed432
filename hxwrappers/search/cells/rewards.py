"""A reward of the user's own in place of the environment's, for the search to follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym

from hxwrappers._utils.modules import load_function
from hxwrappers.errors import DemoError

RewardFunction = Callable[[gym.Env[Any, Any], Any, float], float]
"""Takes the environment, the observation after a step and the step's own reward, and gives the
number that the search adds to the score."""


def load_reward(name: str | None) -> RewardFunction | None:
    """The reward function called `"module:function"`, or None where none is named.

    What it gives is made a float, so that the score can be kept and compared.

    Raises:
        DemoError: It cannot be imported. Called, it failed or returned no number.

    Example:
        >>> reward = load_reward("operator:truth")
        >>> load_reward(None) is None
        True
    """
    if name is None:
        return None
    function = load_function(name, "reward", DemoError)

    def reward(env: gym.Env[Any, Any], observation: Any, own: float) -> float:
        try:
            return float(function(env, observation, own))
        except Exception as error:  # a user's function fails in its own ways
            raise DemoError(
                f"The reward function {name} failed: {type(error).__name__}: {error}. It is "
                "called with the environment, the observation and the environment's reward, and "
                "returns a number."
            ) from error

    return reward
