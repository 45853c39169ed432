"""Long training runs of `DualValuePPO`: checkpoints, exact resume, a history to report and draw."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from tqdm import tqdm

from hxwrappers._signals import stopping_on_signals
from hxwrappers.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3._stateful import novelty_models
from hxwrappers.sb3.dual_value_ppo import DualValuePPO

__all__ = ["History", "TrainingRun"]

CHECKPOINT = "checkpoint.pt"
KIND = "TrainingRun"


class History(BaseCallback):
    """Keeps one row of figures for each rollout, and the rooms that were visited.

    A row holds `steps`, `seconds`, `episodes`, `return_mean` and `return_max` (over the last 100
    episodes and over all of them, extrinsic), `rooms` (how many different `info["room"]` there
    were), `bonus_mean`, and the losses of the novelty models.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self.rooms: set[int] = set()
        self.episodes = 0
        self.best = float("-inf")
        self.seconds = 0.0
        self._recent: deque[float] = deque(maxlen=100)
        self._bonuses: list[float] = []
        self._clock = time.perf_counter()

    def _on_training_start(self) -> None:
        self._clock = time.perf_counter()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            self._bonuses.append(info["reward_bonus"])
            if "room" in info:
                self.rooms.add(int(info["room"]))
            if "episode" in info:
                score = float(np.asarray(info["episode"]["r"]).item())
                self.episodes += 1
                self.best = max(self.best, score)
                self._recent.append(score)
        return True

    def _on_rollout_end(self) -> None:
        row = {
            "steps": float(self.num_timesteps),
            "episodes": float(self.episodes),
            "rooms": float(len(self.rooms)),
            "bonus_mean": float(np.mean(self._bonuses)),
        }
        if self._recent:
            row["return_mean"] = float(np.mean(self._recent))
            row["return_max"] = self.best
        for model in novelty_models(self.training_env):
            row.update(model.losses)
        self._bonuses.clear()
        self.rows.append(row)
        for name in ("rooms", "episodes"):
            self.logger.record(f"exploration/{name}", row[name])

    def _on_training_end(self) -> None:
        self.seconds += time.perf_counter() - self._clock
        self.rows[-1]["seconds"] = self.seconds

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far."""
        return {
            "rows": [dict(row) for row in self.rows],
            "rooms": sorted(self.rooms),
            "episodes": self.episodes,
            "best": self.best,
            "seconds": self.seconds,
            "recent": list(self._recent),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.rows = [dict(row) for row in state["rows"]]
        self.rooms = set(state["rooms"])
        self.episodes = int(state["episodes"])
        self.best = float(state["best"])
        self.seconds = float(state["seconds"])
        self._recent = deque(state["recent"], maxlen=100)


@dataclass
class TrainingRun:
    """Trains a model in segments, with a checkpoint after each.

    Every segment begins with fresh episodes, seeded by `seed` and the number of steps so far,
    whether or not the run was stopped in between. That is what makes a resumed run equal to one
    that was never stopped, bit for bit on a CPU, although emulators cannot be saved: the price is
    that the episodes in flight at a checkpoint are cut.

    Args:
        model: The model, built the same way each time.
        folder: Where the checkpoint and the TensorBoard log go.
        seed: Seed of the episodes.
        checkpoint_every: Steps between two checkpoints; rounded up to whole rollouts.
        progress: Whether to show a progress bar.

    Example:
        >>> import tempfile
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> envs = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8, seed=0)
        >>> model = DualValuePPO("MlpPolicy", envs, n_steps=16, batch_size=16, seed=0)
        >>> run = TrainingRun(model, Path(tempfile.mkdtemp()), progress=False)
        >>> run.train(64).rows[-1]["steps"]
        64.0
    """

    model: DualValuePPO
    folder: Path
    seed: int = 0
    checkpoint_every: int = 100_000
    progress: bool = True

    def __post_init__(self) -> None:
        if self.checkpoint_every < 1:
            raise InvalidArgumentError(
                f"checkpoint_every is {self.checkpoint_every}; it must be at least 1."
            )
        if callable(self.model.learning_rate):
            raise InvalidArgumentError(
                "A TrainingRun has no end that a learning-rate schedule could refer to; make the "
                "model with a constant learning_rate."
            )
        self.folder = Path(self.folder)
        self.history = History()
        self.interrupted = False

    def resume(self) -> int:
        """Load the checkpoint in the folder, and get the number of steps it has behind it.

        Raises:
            CheckpointError: There is none, or it does not fit the model.
        """
        path = self.folder / CHECKPOINT
        state = load_checkpoint(path, KIND)
        try:
            model, history = state["model"], state["history"]
            self.model.load_state_dict(model)
            self.history.load_state_dict(history)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{path} is incomplete ({error}).") from error
        return self.model.num_timesteps

    def train(self, total_timesteps: int) -> History:
        """Train until the model has made so many steps, or until Ctrl-C or SIGTERM.

        A signal ends the run after the current rollout, with a checkpoint; `interrupted` is then
        true.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model.set_logger(configure(str(self.folder), ["tensorboard"]))
        model, saved = self.model, self.model.num_timesteps
        with (
            tqdm(
                total=total_timesteps, initial=saved, unit="step", disable=not self.progress
            ) as bar,
            stopping_on_signals() as stopping,
        ):
            self._begin_segment()
            while model.num_timesteps < total_timesteps and not stopping():
                if model.num_timesteps - saved >= self.checkpoint_every:
                    self.save()
                    saved = model.num_timesteps
                    self._begin_segment()
                model.learn(1, callback=self.history, reset_num_timesteps=False)  # one rollout
                self._show(bar)
            self.interrupted = stopping()
        self.save()
        return self.history

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {"model": self.model.state_dict(), "history": self.history.state_dict()}
        save_checkpoint(self.folder / CHECKPOINT, KIND, state)

    def _begin_segment(self) -> None:
        entropy = np.random.SeedSequence([self.seed, self.model.num_timesteps])
        # Below 2**31 less the number of environments, which seeds of emulators must stay under.
        seed = int(entropy.generate_state(1)[0]) % (2**31 - 2**16)
        env = self.model.get_env()
        if env is not None:
            env.seed(seed)
        self.model._last_obs = None

    def _show(self, bar: tqdm[Any]) -> None:
        row = self.history.rows[-1]
        bar.update(self.model.num_timesteps - bar.n)
        shown = {"bonus": f"{row['bonus_mean']:.3g}"}
        if row["rooms"]:
            shown["rooms"] = f"{row['rooms']:.0f}"
        if "return_mean" in row:
            shown["return"] = f"{row['return_mean']:.0f}"
        bar.set_postfix(shown)
