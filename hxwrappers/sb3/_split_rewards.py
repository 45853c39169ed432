"""Takes the two rewards apart again, for an algorithm that has a value head for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3._passing import Passing

__all__ = ["ClipRewards", "ExtrinsicRewards", "SplitRewards"]


class ExtrinsicRewards(Passing):
    """Returns the extrinsic rewards, without what the bonuses added."""

    hands_on_extrinsic_rewards = True

    def step_wait(self) -> VecEnvStepReturn:
        """Step; the rewards are those of the environments alone."""
        observations, _, dones, infos = self.venv.step_wait()
        return observations, np.array(_each(infos, "extrinsic_reward"), np.float32), dones, infos


class SplitRewards(ExtrinsicRewards):
    """Also keeps what the bonuses added, in `added`: for each step one number an environment."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.added: list[list[float]] = []

    def step_wait(self) -> VecEnvStepReturn:
        """Step; the rewards are those of the environments alone."""
        result = super().step_wait()
        self.added.append(_each(result[3], "reward_bonus"))
        return result


def _each(infos: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    try:
        return [info[key] for info in infos]
    except KeyError as error:
        raise InvalidArgumentError(
            f"DualValuePPO finds no info[{key!r}]: its environment has no novelty bonus. Wrap it, "
            "for example in hxwrappers.sb3.VecRNDBonus, or use plain PPO."
        ) from error


class ClipRewards(Passing):
    """Clips rewards to an interval around zero."""

    def __init__(self, venv: VecEnv, bound: float) -> None:
        super().__init__(venv)
        self.bound = bound

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and clip the rewards."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, rewards.clip(-self.bound, self.bound), dones, infos
