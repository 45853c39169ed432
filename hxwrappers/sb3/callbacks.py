"""Callbacks that log what the wrappers do."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from hxwrappers.sb3._stateful import novelty_models

__all__ = ["ExplorationLog", "ImitationLog"]


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


class ImitationLog(BaseCallback):
    """Logs `imitation/...` once a rollout, for any algorithm and the imitation reward.

    `imitation/reward_mean` is the mean imitation reward of a step; of the episodes that ended,
    `imitation/share_mean` and `_max` are the share of the checkpoints that they reached, and
    `imitation/checkpoint_max` is the furthest checkpoint that any step was at, from 0.

    Example:
        >>> callback = ImitationLog()  # model.learn(..., callback=callback)
    """

    def __init__(self) -> None:
        super().__init__()
        self._rewards: list[float] = []
        self._shares: list[float] = []
        self._furthest = -1

    def _on_step(self) -> bool:
        for info, done in zip(self.locals["infos"], self.locals["dones"], strict=True):
            if "imitation_reward" in info:
                self._rewards.append(info["imitation_reward"])
                self._furthest = max(self._furthest, int(info["imitation_checkpoint"]))
                if done:
                    self._shares.append(info["imitation_share"])
        return True

    def _on_rollout_end(self) -> None:
        if self._rewards:
            self.logger.record("imitation/reward_mean", float(np.mean(self._rewards)))
            self.logger.record("imitation/checkpoint_max", self._furthest)
        if self._shares:
            self.logger.record("imitation/share_mean", float(np.mean(self._shares)))
            self.logger.record("imitation/share_max", float(np.max(self._shares)))
        self._rewards.clear()
        self._shares.clear()
        self._furthest = -1
