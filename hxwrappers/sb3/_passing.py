"""A layer that passes everything on, which wrappers that add to rewards are made from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3._inside import layers
from hxwrappers.sb3.vector_env import require_vec_env


class Passing(VecEnvWrapper):
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


class AddsReward(Passing):
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
