"""Callbacks that log what the wrappers do, and save what they have learned."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, ConvertCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.vec_env import VecEnv

from hxwrappers.curriculum import SuccessTracker
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.runs import plot_history
from hxwrappers.sb3.replay_buffers import SampledBonusBuffer
from hxwrappers.sb3.stateful import load_wrapper_states, novelty_models, wrapper_states
from hxwrappers.sb3.training_run import History


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


_NO_OUTPUT = ("stdout", "log", "json", "csv", "tensorboard")


def _record_max(logger: Logger, name: str, value: float) -> None:
    """Log the greatest value since the last line, as `record_mean` logs the mean."""
    logger.record(name, max(logger.name_to_value.get(name, value), value))


class ExplorationLog(BaseCallback):
    """Logs `exploration/...` for any algorithm and any of the bonuses.

    Each line of the log is of all steps since the one before it: of a rollout with PPO, of whole
    episodes with DQN or SAC.

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

    def _on_training_start(self) -> None:
        buffer = getattr(self.model, "replay_buffer", None)
        if isinstance(buffer, SampledBonusBuffer) and not buffer.knows_bonus:
            buffer.set_env(self.training_env)

    def _on_step(self) -> bool:
        infos = [info for info in _infos_of_step(self) if "intrinsic_reward" in info]
        if infos:
            bonuses = np.array([info["intrinsic_reward"] for info in infos], np.float64)
            added = np.mean([info["reward_bonus"] for info in infos])
            log, name = self.logger, "exploration/intrinsic_reward"
            log.record_mean(f"{name}_mean", float(bonuses.mean()))
            log.record_mean(f"{name}_square", float(np.square(bonuses).mean()), _NO_OUTPUT)
            variance = log.name_to_value[f"{name}_square"] - log.name_to_value[f"{name}_mean"] ** 2
            log.record(f"{name}_std", max(variance, 0.0) ** 0.5)
            _record_max(log, f"{name}_max", float(bonuses.max()))
            log.record_mean("exploration/reward_bonus_mean", float(added))
        return True

    def _on_rollout_end(self) -> None:
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

    Each line of the log is of all steps since the one before it, as with `ExplorationLog`.

    `imitation/reward_mean` is the mean imitation reward of a step; of the episodes that ended,
    `imitation/share_mean` and `_max` are the share of the checkpoints that they reached, and
    `imitation/checkpoint_max` is the furthest checkpoint that any step was at, from 0.

    Example:
        >>> callback = ImitationLog()  # model.learn(..., callback=callback)
    """

    def _on_step(self) -> bool:
        pairs = zip(_infos_of_step(self), self.locals["dones"], strict=True)
        paid = [(info, done) for info, done in pairs if "imitation_reward" in info]
        if paid:
            rewards = float(np.mean([info["imitation_reward"] for info, _ in paid]))
            furthest = max(info["imitation_checkpoint"] for info, _ in paid)
            self.logger.record_mean("imitation/reward_mean", rewards)
            _record_max(self.logger, "imitation/checkpoint_max", furthest)
        for share in (info["imitation_share"] for info, done in paid if done):
            self.logger.record_mean("imitation/share_mean", share)
            _record_max(self.logger, "imitation/share_max", share)
        return True


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
        figures = _log_curriculum(self.logger, self.tracker)
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


def _log_curriculum(logger: Logger, tracker: SuccessTracker) -> dict[str, float]:
    """Log where a curriculum is, and get the figures."""
    figures = curriculum_figures(tracker)
    for name, value in figures.items():
        logger.record(f"curriculum/{name}", value)
    return figures


class CurriculumHistory(History):
    """A history of a run with a `DemoResetCurriculum`; it also keeps the tracker's table.

    Rows also hold the figures of `curriculum_figures`.

    Args:
        tracker: The tracker that all workers share.
    """

    def __init__(self, tracker: SuccessTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def figures(self) -> dict[str, float]:
        """The frontier, how far it has come, and how many episodes succeed."""
        return _log_curriculum(self.logger, self.tracker)

    def shown(self) -> dict[str, str]:
        """Frontier and success rate."""
        if not self.rows:
            return {}
        row = self.rows[-1]
        rate = {"success": f"{row['success_rate']:.0%}"} if "success_rate" in row else {}
        return {"frontier": f"{row['frontier']:.0f}", "covered": f"{row['covered']:.0%}", **rate}

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far, the tracker's table included."""
        return {**super().state_dict(), "tracker": self.tracker.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.tracker.load_state_dict(state["tracker"])
        super().load_state_dict(state)


def with_callback(callback: MaybeCallback, *first: BaseCallback) -> list[BaseCallback]:
    """Callbacks of a trainer's own before those that the user gave.

    Args:
        first: The trainer's own.
        callback: What `learn` was given: nothing, a callback, a function, or a list of callbacks.
    """
    if isinstance(callback, list):
        return [*first, *callback]
    return [*first, callback if isinstance(callback, BaseCallback) else ConvertCallback(callback)]


_KIND = "Wrappers"


class BonusCheckpointCallback(CheckpointCallback):
    """`CheckpointCallback` that also saves what the wrappers have learned and counted.

    Beside `PREFIX_1000_steps.zip` it writes `PREFIX_bonus_1000_steps.safetensors`, which
    `load_bonus` puts back into an environment that is wrapped alike: the networks and moments
    of bonuses, the success table of a curriculum, the moments of a `VecNormalize`. Without it a
    bonus begins anew on resume, when everything is new to it, as at the very start.
    `DualValuePPO` and `DemoRecurrentPPO` have all of this in their own files. What is in worker
    processes is not saved: wrap the vector environment instead.

    Args:
        save_freq: As in `CheckpointCallback`: every so many steps of the vector environment.
        save_path: The folder.
        *args: As in `CheckpointCallback`.
        save_bonus: Whether to save the wrappers.
        **kwargs: As in `CheckpointCallback`: `name_prefix`, `save_replay_buffer` and so on.

    Example:
        >>> import tempfile
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> folder = tempfile.mkdtemp()
        >>> def build():
        ...     return VecRNDBonus(make_vec_env("CartPole-v1", 2), warmup_steps=8)
        >>> model = PPO("MlpPolicy", build(), n_steps=16, batch_size=16)
        >>> model = model.learn(32, callback=BonusCheckpointCallback(16, folder))
        >>> envs = build()
        >>> load_bonus(f"{folder}/rl_model_bonus_32_steps.safetensors", envs)
        >>> model = PPO.load(f"{folder}/rl_model_32_steps.zip", envs)
    """

    def __init__(
        self,
        save_freq: int,
        save_path: str,
        *args: Any,
        save_bonus: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(save_freq, save_path, *args, **kwargs)
        self.save_bonus = save_bonus

    def _on_step(self) -> bool:
        going_on = super()._on_step()
        if self.save_bonus and self.n_calls % self.save_freq == 0:
            path = self._checkpoint_path("bonus_", extension="safetensors")
            save_checkpoint(path, _KIND, {"wrappers": wrapper_states(self.training_env)})
        return going_on


def load_bonus(path: str | os.PathLike[str], env: VecEnv) -> None:
    """Put back what `BonusCheckpointCallback` saved of the wrappers.

    Args:
        path: The file, `..._bonus_..._steps.safetensors`; no code from it is executed.
        env: The environment, wrapped as it was then.

    Raises:
        CheckpointError: The file is none of those or damaged, or the environment is wrapped in
            another way.
    """
    state = load_checkpoint(path, _KIND)
    with checkpoint_errors(f"{path} is incomplete"):
        load_wrapper_states(env, state["wrappers"])
