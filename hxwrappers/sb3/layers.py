"""Layers around vector environments of Stable-Baselines3: their checks, observations, bases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers.bridge.environments import described
from hxwrappers.errors import InvalidArgumentError


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


def layers(env: VecEnv) -> Iterator[VecEnvWrapper]:
    """The wrappers of a vector environment of Stable-Baselines3, the outermost first."""
    while isinstance(env, VecEnvWrapper):
        yield env
        env = env.venv


def map_parts(observations: Any, change: Callable[[Any], Any]) -> Any:
    """Change an array of observations, or each of a dict of them.

    Example:
        >>> map_parts({"room": 1, "key": 2}, lambda part: part + 1)
        {'room': 2, 'key': 3}
    """
    if isinstance(observations, dict):
        return {name: change(part) for name, part in observations.items()}
    return change(observations)


def with_terminal(
    seen: npt.NDArray[Any],
    dones: npt.NDArray[np.bool_],
    infos: Sequence[Mapping[str, Any]],
    read: Callable[[Any], npt.NDArray[Any]],
) -> npt.NDArray[Any]:
    """What is looked at of observations, with the last of an episode for the first of the next.

    Args:
        seen: Of what `step_wait` returned, `(num_envs, ...)`; it is left as it is.
        dones: Which episodes ended.
        infos: What `step_wait` returned, with the last observations.
        read: What is looked at of one observation.
    """
    if dones.any():
        seen = seen.copy()
        for index in np.flatnonzero(dones).tolist():
            seen[index] = read(infos[index]["terminal_observation"])
    return seen


class PassThrough(VecEnvWrapper):
    """Passes observations, rewards and infos on.

    It stands for a bonus in an environment for evaluation, where Stable-Baselines3 compares layer
    by layer and class by class; so the bonuses are its subclasses.
    """

    def reset(self) -> VecEnvObs:
        """Reset the environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step the environments."""
        return self.venv.step_wait()


class RewardWrapper(PassThrough):
    """Adds to the rewards, for algorithms with a replay buffer too.

    Args:
        venv: The environments.

    Raises:
        InvalidArgumentError: `venv` is no `VecEnv`, or a `VecNormalize` inside rescales rewards.
    """

    def __init__(self, venv: VecEnv) -> None:
        require_vec_env(venv, self)
        super().__init__(venv)
        inside = [layer for layer in layers(venv) if isinstance(layer, VecNormalize)]
        if any(normalize.norm_reward for normalize in inside):
            name = type(self).__name__
            raise InvalidArgumentError(
                f"{name} stands around a VecNormalize that rescales rewards: the score of the game "
                "would be lost, and a replay buffer would rescale the bonus by it. Make that one "
                f"with norm_reward=False, or put VecNormalize around {name}."
            )
        self._normalize = inside[0] if inside else None

    def _summed(
        self, rewards: npt.NDArray[np.float32], added: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        """The rewards with what is added to them.

        DQN, SAC and the like do not store the rewards that they get where there is a
        `VecNormalize`, but those that it has kept: what is added further out belongs there too.
        """
        if self._normalize is not None:
            kept = self._normalize.old_reward
            self._normalize.old_reward = (kept + added).astype(np.float32)
        return (rewards + added).astype(np.float32)
