"""Long training runs: checkpoints, exact resume, and the history of a run."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from hxwrappers._utils.checks import require_range
from hxwrappers._utils.processes import stop_on_signals
from hxwrappers._utils.progress import ProgressBar
from hxwrappers.errors import CheckpointError, InvalidArgumentError, WorkerError
from hxwrappers.files import load_newest, save_checkpoint
from hxwrappers.files.atomic import try_to_save
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.files.generators import ENV_SEEDS, derived_seed
from hxwrappers.runs.event_log import EventLog
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.persistence import load_model_state, model_state
from hxwrappers.sb3.stateful import novelty_models, wrappers

CHECKPOINT, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
KIND = "TrainingRun"


class History(BaseCallback):
    """Keeps one row of figures for each rollout.

    A row holds `steps`, `seconds`, `episodes`, `return_mean` (over the last 100 episodes) and
    `return_max` (over all of them), of the extrinsic reward.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self.episodes = 0
        self.best = float("-inf")
        self.seconds = 0.0
        self._recent: deque[float] = deque(maxlen=100)
        self._clock = time.perf_counter()

    def figures(self) -> dict[str, float]:
        """Further figures of the rollout that has just ended."""
        return {}

    def shown(self) -> dict[str, str]:
        """What stands beside the progress bar."""
        row = self.rows[-1] if self.rows else {}
        return {"return": f"{row['return_mean']:.0f}"} if "return_mean" in row else {}

    def read(self, info: Mapping[str, Any]) -> None:
        """Take what there is from the info of one environment's step."""
        if "episode" in info:
            score = float(np.asarray(info["episode"]["r"]).item())
            self.episodes += 1
            self.best = max(self.best, score)
            self._recent.append(score)

    def _on_training_start(self) -> None:
        self._clock = time.perf_counter()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            self.read(info)
        return True

    def _on_rollout_end(self) -> None:
        row = {"steps": float(self.num_timesteps), "episodes": float(self.episodes)}
        if self._recent:
            row["return_mean"] = float(np.mean(self._recent))
            row["return_max"] = self.best
        row.update(self.figures())
        self.rows.append(row)

    def _on_training_end(self) -> None:
        self.seconds += time.perf_counter() - self._clock
        if self.rows:  # another callback may have stopped the first rollout
            self.rows[-1]["seconds"] = self.seconds

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far."""
        return {
            "rows": [dict(row) for row in self.rows],
            "episodes": self.episodes,
            "best": self.best,
            "seconds": self.seconds,
            "recent": list(self._recent),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.rows = [dict(row) for row in state["rows"]]
        self.episodes = int(state["episodes"])
        self.best = float(state["best"])
        self.seconds = float(state["seconds"])
        self._recent = deque(state["recent"], maxlen=100)


class ExplorationHistory(History):
    """A history of a run with a novelty bonus.

    Rows also hold `rooms` (how many different `info["room"]` there were), `bonus_mean` where there
    is a bonus, and the losses of the novelty models. Where episodes start at points of a
    `VecNoveltyResets`, the episodes counted are those from the game's own start, `rewarded` is
    the share of the last 100 of these that earned a reward, `way_score` the score of the best way
    that was found, from wherever, `way_reach` how many steps from its end episodes start,
    `first_reward` the step at which any reward was first met, and `first_from_start` the one at
    which an episode from the game's own start first ended with one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rooms: set[int] = set()
        self.first_reward: int | None = None
        self.first_from_start: int | None = None
        self._bonuses: list[float] = []

    def read(self, info: Mapping[str, Any]) -> None:
        """Take bonus and room as well."""
        if info.get("start", "game") == "game":
            super().read(info)
            if self.first_from_start is None and self.best > 0:
                self.first_from_start = self.num_timesteps
        if "reward_bonus" in info:
            self._bonuses.append(info["reward_bonus"])
            if info["extrinsic_reward"] > 0 and self.first_reward is None:
                self.first_reward = self.num_timesteps
        if "room" in info:
            self.rooms.add(int(info["room"]))

    def figures(self) -> dict[str, float]:
        """Rooms, bonus and losses."""
        figures = {"rooms": float(len(self.rooms))}
        if self._bonuses:
            figures["bonus_mean"] = float(np.mean(self._bonuses))
        for model in novelty_models(self.training_env):
            figures.update(model.losses)
        if self._recent:
            figures["rewarded"] = float(np.mean(np.array(self._recent) > 0))
            # Of the episodes counted, where Stable-Baselines3's own mean is of all.
            self.logger.record("exploration/return_mean", float(np.mean(self._recent)))
        if self.first_reward is not None:
            figures["first_reward"] = float(self.first_reward)
        if self.first_from_start is not None:
            figures["first_from_start"] = float(self.first_from_start)
        for layer in wrappers(self.training_env):
            if isinstance(layer, VecNoveltyResets) and layer.archive.ways:
                figures["way_score"] = layer.archive.score
                figures["way_reach"] = layer.archive.reach
        self._bonuses.clear()
        self.logger.record("exploration/episodes", self.episodes)
        for name in ("rooms", "rewarded", "way_score", "way_reach"):
            if name in figures:
                self.logger.record(f"exploration/{name}", figures[name])
        return figures

    def shown(self) -> dict[str, str]:
        """Bonus, rooms and return."""
        row = self.rows[-1] if self.rows else {"rooms": 0}
        rooms = {"rooms": f"{row['rooms']:.0f}"} if row["rooms"] else {}
        bonus = {"bonus": f"{row['bonus_mean']:.3g}"} if "bonus_mean" in row else {}
        way = {"way": f"{row['way_score']:.0f}"} if "way_score" in row else {}
        return {**bonus, **rooms, **way, **super().shown()}

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far."""
        firsts = [self.first_reward, self.first_from_start]
        return {
            **super().state_dict(),
            "rooms": sorted(self.rooms),
            "firsts": [-1 if step is None else step for step in firsts],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        super().load_state_dict(state)
        self.rooms = set(state["rooms"])
        firsts = [int(step) for step in state["firsts"]]
        self.first_reward, self.first_from_start = (None if step < 0 else step for step in firsts)


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
        progress: Whether to show the progress, as `hxwrappers.runs.ProgressBar` does.
        history: What is kept of the run's course.
        stop_when: Asked after each rollout; true ends the run.
        callbacks: Further callbacks for the model's training. What those that have a `state_dict`
            give is in the checkpoint.

    Example:
        >>> import tempfile
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import DualValuePPO, VecRNDBonus
        >>> envs = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8, seed=0)
        >>> model = DualValuePPO("MlpPolicy", envs, n_steps=16, batch_size=16, seed=0)
        >>> run = TrainingRun(model, Path(tempfile.mkdtemp()), progress=False)
        >>> run.train(64).rows[-1]["steps"]
        64.0
    """

    model: OnPolicyAlgorithm
    folder: Path
    seed: int = 0
    checkpoint_every: int = 100_000
    progress: bool = True
    history: History = field(default_factory=ExplorationHistory)
    stop_when: Callable[[], bool] | None = None
    callbacks: Sequence[BaseCallback] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.model, OnPolicyAlgorithm):
            raise InvalidArgumentError(
                f"A TrainingRun trains algorithms that learn from rollouts (PPO, RecurrentPPO, "
                f"DualValuePPO, A2C, ...), not {type(self.model).__name__}: replay buffers are in "
                "no checkpoint of it. Use model.learn with a callback that saves."
            )
        require_range("checkpoint_every", self.checkpoint_every, minimum=1)
        for name in ("learning_rate", "clip_range", "clip_range_vf"):
            value = getattr(self.model, name, None)
            if callable(value) and value(1.0) != value(0.0):  # some are functions even if constant
                raise InvalidArgumentError(
                    f"A TrainingRun has no end that a schedule of the {name} could refer to; make "
                    f"the model with a constant {name}."
                )
        self.folder = Path(self.folder)
        self.interrupted = False
        self._owns_folder = False

    def resume(self) -> int:
        """Load the checkpoint in the folder, and get the number of steps it has behind it.

        Raises:
            CheckpointError: There is none, or it does not fit the model.
        """
        path = self.folder / CHECKPOINT
        state = load_newest([path, self.folder / PREVIOUS], KIND)
        with checkpoint_errors(f"{path} is incomplete"):
            model, history, callbacks = state["model"], state["history"], state["callbacks"]
            names = [part["callback"] for part in callbacks]
            expected = [type(callback).__name__ for callback in self._stateful]
            if names != expected:
                raise CheckpointError(
                    f"{path} holds the states of the callbacks {names}, this run has {expected} "
                    "with a state. Give it the same callbacks."
                )
            load_model_state(self.model, model)
            self.history.load_state_dict(history)
            for callback, part in zip(self._stateful, callbacks, strict=True):
                callback.load_state_dict(part["state"])
        self._owns_folder = True
        return self.model.num_timesteps

    def begin(self, *, resume: bool) -> int:
        """Make sure that no other run is overwritten, or go on with the one in the folder.

        Args:
            resume: Go on with it.

        Returns:
            The number of steps behind it.

        Raises:
            CheckpointError: There is a run that would be overwritten, or none to go on with that
                fits.
        """
        if resume:
            return self.resume()
        if (self.folder / CHECKPOINT).exists():
            raise CheckpointError(
                f"{self.folder} holds a run already: go on with it by resume() (--resume), or "
                "choose another folder."
            )
        self._owns_folder = True
        return self.model.num_timesteps

    def train(self, total_timesteps: int | None = None) -> History:
        """Train until the model has made so many steps, `stop_when` says so, or a signal comes.

        Without a number of steps the last two alone end it.

        Ctrl-C or SIGTERM ends the run after the current rollout, with a checkpoint; `interrupted`
        is then true. A callback whose `_on_step` returns False ends it at once, with a checkpoint.

        Raises:
            CheckpointError: The folder holds a run already, and `resume` was not called.
            WorkerError: The process of an environment has died. What was learned up to then is
                saved first.
            FileWriteError: The last checkpoint cannot be written; call `save` once there is room.
                (One in the midst of training is tried again when the next is due.)
        """
        if not self._owns_folder:
            self.begin(resume=False)
        model, saved = self.model, self.model.num_timesteps
        log = _TensorBoard(self.folder, saved)
        model.set_logger(Logger(str(self.folder), [log]))
        with (
            ProgressBar("step", total_timesteps, initial=saved, hidden=not self.progress) as bar,
            stop_on_signals() as stopping,
            closing(log),
        ):
            self._begin_segment()
            over = self.stop_when or (lambda: False)
            last = math.inf if total_timesteps is None else total_timesteps
            while model.num_timesteps < last and not stopping() and not over():
                if model.num_timesteps - saved >= self.checkpoint_every:
                    try_to_save(self.save)
                    saved = model.num_timesteps
                    self._begin_segment()
                goes_on = self._roll_out()
                self._show(bar)
                if not goes_on:
                    break
            self.interrupted = stopping()
        self.save()
        return self.history

    def save(self) -> None:
        """Write the checkpoint atomically; the one before it is kept beside it."""
        state = {
            "model": model_state(self.model),
            "history": self.history.state_dict(),
            "callbacks": [
                {"callback": type(callback).__name__, "state": callback.state_dict()}
                for callback in self._stateful
            ],
        }
        path = self.folder / CHECKPOINT
        save_checkpoint(path, KIND, state, previous=self.folder / PREVIOUS)

    @property
    def _stateful(self) -> list[Any]:
        return [callback for callback in self.callbacks if hasattr(callback, "state_dict")]

    def _roll_out(self) -> bool:
        """Collect one rollout and learn from it.

        Returns:
            Whether it was collected to its end; else a callback has stopped the training.
        """
        rollouts = len(self.history.rows)
        try:
            callbacks = [self.history, *self.callbacks]
            self.model.learn(1, callback=callbacks, reset_num_timesteps=False)
        except (EOFError, BrokenPipeError, ConnectionResetError, WorkerError) as error:
            path = self.folder / CHECKPOINT
            kept = f"is in {path}; go on from there with resume()"
            if not try_to_save(self.save):
                kept = "is in memory alone; call save() once there is room"
            raise WorkerError(
                "The process of an environment has died: it was killed, ran out of memory or "
                f"crashed. What was learned up to step {self.model.num_timesteps:,} {kept}."
            ) from error
        return len(self.history.rows) > rollouts

    def _begin_segment(self) -> None:
        env = self.model.get_env()
        if env is not None:
            steps = self.model.num_timesteps
            env.seed(derived_seed(self.seed, "segment", steps, below=ENV_SEEDS))
        self.model._last_obs = None

    def _show(self, bar: ProgressBar) -> None:
        shown = self.history.shown().items()
        note = ", ".join(f"{name} {figure}" for name, figure in shown)
        bar.show(self.model.num_timesteps, note=note)


class _TensorBoard(TensorBoardOutputFormat):
    """What the model logs, in the files of an `EventLog`."""

    def __init__(self, folder: Path, steps: int) -> None:
        self.writer = EventLog(folder, steps)
        self._is_closed = False

    def close(self) -> None:
        """Close the file; should the model be trained otherwise, it goes on in another one."""
        self.writer.close()
