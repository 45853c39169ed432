"""Callbacks that log what the wrappers do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback

from hxwrappers.curriculum import SuccessTracker
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.moments import RunningMoments
from hxwrappers.runs import plot_history
from hxwrappers.sb3.replay_buffers import ScoresWhenSampled
from hxwrappers.sb3.stateful import novelty_models


def _infos_of_step(callback: BaseCallback) -> list[dict[str, Any]]:
    """The infos of the step.

    Raises:
        InvalidArgumentError: The algorithm does not show them, as ARS does not.
    """
    if "infos" not in callback.locals:
        raise InvalidArgumentError(
            f"{type(callback.model).__name__} does not show callbacks the infos of its steps, in "
            f"which {type(callback).__name__} finds what it logs. Leave the callback out."
        )
    infos: list[dict[str, Any]] = callback.locals["infos"]
    return infos


class ExplorationLog(BaseCallback):
    """Logs `exploration/...` for any algorithm and any of the bonuses.

    Each line of the log is of all rollouts since the one before it: of one with PPO, of many with
    DQN or SAC, whose rollouts are some steps long.

    `exploration/intrinsic_reward_mean`, `_std` and `_max` are of the bonus before its coefficient,
    `exploration/reward_bonus_mean` of what was added to the reward, and further keys are the
    losses of the novelty models' last training, where the models are in this process.
    `DualValuePPO` logs these by itself; a second such log says the same once more. A
    `BonusReplayBuffer` that does not know its environment yet gets it at the start of training.

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
        self._watch = _FileWatch()
        self._bonuses = _RolloutStatistics()
        self._added = _RolloutStatistics()

    def _on_training_start(self) -> None:
        buffer = getattr(self.model, "replay_buffer", None)
        if isinstance(buffer, ScoresWhenSampled) and not buffer.knows_bonus:
            buffer.set_env(self.training_env)

    def _on_step(self) -> bool:
        for info in _infos_of_step(self):
            if "intrinsic_reward" in info:
                self._bonuses.add(info["intrinsic_reward"])
                self._added.add(info["reward_bonus"])
        return True

    def _on_rollout_end(self) -> None:
        written = self._watch.written(self.logger)
        for figures in (self._bonuses, self._added):
            figures.end_rollout(written=written)
        if self._bonuses.number:
            self.logger.record("exploration/intrinsic_reward_mean", self._bonuses.mean)
            self.logger.record("exploration/intrinsic_reward_std", self._bonuses.deviation)
            self.logger.record("exploration/intrinsic_reward_max", self._bonuses.greatest)
            self.logger.record("exploration/reward_bonus_mean", self._added.mean)
        for model in novelty_models(self.training_env):
            for name, loss in model.losses.items():
                self.logger.record(f"exploration/{name}", loss)


class RolloutTraining(BaseCallback):
    """Trains novelty models at the end of each rollout of an on-policy algorithm.

    So one predictor and one reward scale hold for a whole rollout, as published. `DualValuePPO`
    does it by itself; give this to Stable-Baselines3's own PPO or A2C, before a log. It reaches the
    models in this process, and changes nothing for those made with a number as `update_every`.

    Raises:
        InvalidArgumentError: The algorithm is off-policy: its rollouts are some steps long.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> envs = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8)
        >>> model = PPO("MlpPolicy", envs, n_steps=200, batch_size=100)
        >>> model = model.learn(800, callback=[RolloutTraining(), ExplorationLog()])
        >>> envs.model.updates
        2
    """

    def _init_callback(self) -> None:
        if not isinstance(self.model, OnPolicyAlgorithm):
            raise InvalidArgumentError(
                f"RolloutTraining is for on-policy algorithms, and a rollout of "
                f"{type(self.model).__name__} is some steps long. Leave it out: the bonus then "
                "trains every 128 steps, or every update_every."
            )

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        for model in novelty_models(self.training_env):
            model.begin_rollout()

    def _on_rollout_end(self) -> None:
        for model in novelty_models(self.training_env):
            model.end_rollout()

    def _on_training_end(self) -> None:
        self._on_rollout_end()  # of one that another callback broke off


class ImitationLog(BaseCallback):
    """Logs `imitation/...` for any algorithm and the imitation reward.

    Each line of the log is of all rollouts since the one before it, as with `ExplorationLog`.

    `imitation/reward_mean` is the mean imitation reward of a step; of the episodes that ended,
    `imitation/share_mean` and `_max` are the share of the checkpoints that they reached, and
    `imitation/checkpoint_max` is the furthest checkpoint that any step was at, from 0.

    Example:
        >>> callback = ImitationLog()  # model.learn(..., callback=callback)
    """

    def __init__(self) -> None:
        super().__init__()
        self._watch = _FileWatch()
        self._rewards = _RolloutStatistics()
        self._shares = _RolloutStatistics()
        self._checkpoints = _RolloutStatistics()

    def _on_step(self) -> bool:
        for info, done in zip(_infos_of_step(self), self.locals["dones"], strict=True):
            if "imitation_reward" in info:
                self._rewards.add(info["imitation_reward"])
                self._checkpoints.add(info["imitation_checkpoint"])
                if done:
                    self._shares.add(info["imitation_share"])
        return True

    def _on_rollout_end(self) -> None:
        written = self._watch.written(self.logger)
        for figures in (self._rewards, self._checkpoints, self._shares):
            figures.end_rollout(written=written)
        if self._rewards.number:
            self.logger.record("imitation/reward_mean", self._rewards.mean)
            self.logger.record("imitation/checkpoint_max", int(self._checkpoints.greatest))
        if self._shares.number:
            self.logger.record("imitation/share_mean", self._shares.mean)
            self.logger.record("imitation/share_max", self._shares.greatest)


class CurriculumLog(BaseCallback):
    """Logs `curriculum/...` once a rollout, for any algorithm, and draws the frontier over time.

    `curriculum/frontier`, `covered` and `success_rate` are those of `curriculum_figures`. With
    several demonstrations there is a `curriculum/frontier_0` and so on for each.

    Args:
        tracker: The tracker that all workers share.
        picture: Where to draw the frontier over the steps at the end of training; needs the extra
            `plots`. None draws nothing.

    Attributes:
        rows: The figures and `steps`, one row for each rollout in which an episode was counted.

    Example:
        >>> from functools import partial
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers import DemoResetCurriculum
        >>> from hxwrappers.demos import DemoRecording
        >>> from hxwrappers.curriculum import SuccessTracker
        >>> import gymnasium as gym
        >>> recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
        >>> _ = recording.reset(seed=0)
        >>> for action in (1, 1, 2, 1, 2, 2):
        ...     _ = recording.step(action)
        >>> tracker = SuccessTracker(recording.demo())
        >>> wrap = partial(DemoResetCurriculum, demo=recording.demo(), tracker=tracker)
        >>> envs = make_vec_env(
        ...     "FrozenLake-v1", 2, env_kwargs={"is_slippery": False}, wrapper_class=wrap
        ... )
        >>> log = CurriculumLog(tracker)
        >>> model = PPO("MlpPolicy", envs, n_steps=16, batch_size=16).learn(32, callback=log)
        >>> log.rows[-1]["frontier"]
        5.0
    """

    def __init__(
        self, tracker: SuccessTracker, picture: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__()
        self.tracker = tracker
        self.picture = picture
        self.rows: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        figures = curriculum_figures(self.tracker)
        for name, value in figures.items():
            self.logger.record(f"curriculum/{name}", value)
        counted = self.rows[-1]["episodes_counted"] if self.rows else None
        if figures["episodes_counted"] != counted:  # DQN's rollouts are four steps long
            self.rows.append({"steps": float(self.num_timesteps), **figures})

    def _on_training_end(self) -> None:
        if self.picture is not None:
            plot_history(self.rows, Path(self.picture), "the start moves back")


def curriculum_figures(tracker: SuccessTracker) -> dict[str, float]:
    """Where a curriculum is.

    Returns:
        `frontier`, the mean over the demonstrations (and each one, where there are several);
        `covered`, the share of their steps that lies behind it, from 0 to 1; `episodes_counted`;
        and `success_rate` in the window before it, where it is known.
    """
    frontiers, rates = tracker.frontiers, tracker.success_rates
    figures = {
        "frontier": float(frontiers.mean()),
        "covered": tracker.covered,
        "episodes_counted": float(tracker.episodes),
    }
    if len(frontiers) > 1:
        figures |= {f"frontier_{index}": float(each) for index, each in enumerate(frontiers)}
    known = rates[~np.isnan(rates)]
    return {**figures, "success_rate": float(known.mean())} if len(known) else figures


class _RolloutStatistics:
    """Figures of the numbers of all rollouts since the log was written."""

    def __init__(self) -> None:
        self._rollout: list[float] = []
        self._forget()

    def _forget(self) -> None:
        self._moments = RunningMoments(())
        self.greatest: float = -np.inf

    def add(self, value: float) -> None:
        """Take in a number of the rollout that goes on."""
        self._rollout.append(value)

    def end_rollout(self, *, written: bool) -> None:
        """Take in the rollout that ends; after a line of the log those before it are done with."""
        if written:
            self._forget()
        if not self._rollout:
            return
        self._moments.update(torch.tensor(self._rollout, dtype=torch.float64))
        self.greatest = float(max(self.greatest, *self._rollout))
        self._rollout.clear()

    @property
    def number(self) -> int:
        """How many numbers there were."""
        return self._moments.count

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(self._moments.mean)

    @property
    def deviation(self) -> float:
        """Their standard deviation."""
        return float(self._moments.variance.sqrt())


class _CsvLines(KVWriter):
    """An output of a logger that writes nothing, and has another `line` after each that it got."""

    def __init__(self) -> None:
        self.line = object()

    def write(self, *_: Any, **__: Any) -> None:
        """Take a line."""
        self.line = object()

    def close(self) -> None:
        """There is nothing to close."""


class _FileWatch:
    """Tells one callback whether a line of the log was written since it last asked.

    What the logger holds does not tell: another callback may have recorded the same keys since.
    """

    def __init__(self) -> None:
        self._line: object = None

    def written(self, logger: Logger) -> bool:
        """Whether a line was written since the last call; true at the first of a logger."""
        lines = next((each for each in logger.output_formats if isinstance(each, _CsvLines)), None)
        if lines is None:
            lines = _CsvLines()
            logger.output_formats = [*logger.output_formats, lines]
        before, self._line = self._line, lines.line
        return before is not self._line


def with_callback(callback: MaybeCallback, *first: BaseCallback) -> list[BaseCallback]:
    """Callbacks of a trainer's own before those that the user gave.

    Args:
        first: The trainer's own.
        callback: What `learn` was given: nothing, a callback, a function, or a list of callbacks.
    """
    if callback is None:
        return [*first]
    if isinstance(callback, list):
        return [*first, *callback]
    return [*first, callback if isinstance(callback, BaseCallback) else ConvertCallback(callback)]
