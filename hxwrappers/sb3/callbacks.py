"""Callbacks that log what the wrappers do."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from hxwrappers.sb3._stateful import novelty_models

__all__ = ["ExplorationLog", "with_callback"]


class ExplorationLog(BaseCallback):
    """Logs `exploration/...` once a rollout, for any algorithm and any of the bonuses.

    `exploration/intrinsic_reward_mean`, `_std` and `_max` are of the bonus before its coefficient,
    `exploration/reward_bonus_mean` of what was added to the reward, and further keys are the
    losses of the novelty models' last training, where the models are in this process.
    `DualValuePPO` logs these by itself.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> envs = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8)
        >>> model = PPO("MlpPolicy", envs, n_steps=16, batch_size=16)
        >>> model = model.learn(32, callback=ExplorationLog())
    """

    def __init__(self) -> None:
        super().__init__()
        self._bonuses: list[float] = []
        self._added: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "intrinsic_reward" in info:
                self._bonuses.append(info["intrinsic_reward"])
                self._added.append(info["reward_bonus"])
        return True

    def _on_rollout_end(self) -> None:
        if self._bonuses:
            bonuses = np.array(self._bonuses)
            self.logger.record("exploration/intrinsic_reward_mean", float(bonuses.mean()))
            self.logger.record("exploration/intrinsic_reward_std", float(bonuses.std()))
            self.logger.record("exploration/intrinsic_reward_max", float(bonuses.max()))
            self.logger.record("exploration/reward_bonus_mean", float(np.mean(self._added)))
        for model in novelty_models(self.training_env):
            for name, loss in model.losses.items():
                self.logger.record(f"exploration/{name}", loss)
        self._bonuses.clear()
        self._added.clear()


def with_callback(first: BaseCallback, callback: MaybeCallback) -> list[BaseCallback]:
    """A callback of a trainer's own before those that the user gave.

    Args:
        first: The trainer's own.
        callback: What `learn` was given: nothing, a callback, a function, or a list of callbacks.
    """
    if callback is None:
        return [first]
    if isinstance(callback, list):
        return [first, *callback]
    return [first, callback if isinstance(callback, BaseCallback) else ConvertCallback(callback)]
