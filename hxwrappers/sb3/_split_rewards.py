"""Takes the two rewards apart again, for an algorithm that has a value head for each."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers.errors import InvalidArgumentError

__all__ = ["ClipRewards", "SplitRewards"]


class SplitRewards(VecEnvWrapper):
    """Returns the extrinsic rewards, and keeps what the bonuses added until `take` is called."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self._added: list[list[float]] = []

    def reset(self) -> VecEnvObs:
        """Reset the environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step; the rewards are those of the environments alone."""
        observations, _, dones, infos = self.venv.step_wait()
        try:
            extrinsic = np.array([info["extrinsic_reward"] for info in infos], np.float32)
            self._added.append([info["reward_bonus"] for info in infos])
        except KeyError as error:
            raise InvalidArgumentError(
                f"DualValuePPO finds no info[{error.args[0]!r}]: its environment has no novelty "
                "bonus. Wrap it, for example in hxwrappers.sb3.VecRNDBonus, or use plain PPO."
            ) from error
        return observations, extrinsic, dones, infos

    def take(self) -> np.ndarray:
        """The bonuses since the last call, shape `(steps, envs)`, float32."""
        added = np.array(self._added, np.float32)
        self._added = []
        return added


class ClipRewards(VecEnvWrapper):
    """Clips rewards to an interval around zero."""

    def __init__(self, venv: VecEnv, bound: float) -> None:
        super().__init__(venv)
        self.bound = bound

    def reset(self) -> VecEnvObs:
        """Reset the environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and clip the rewards."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, rewards.clip(-self.bound, self.bound), dones, infos
