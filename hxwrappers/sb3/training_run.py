"""Long training runs: checkpoints, exact resume, a history of figures."""

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
from tqdm import tqdm

from hxwrappers._utils.signals import stop_on_signals
from hxwrappers.curriculum import SuccessTracker
from hxwrappers.errors import CheckpointError, InvalidArgumentError, WorkerError
from hxwrappers.files import load_newest, save_checkpoint
from hxwrappers.files.atomic import try_to_save
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.runs.event_log import EventLog
from hxwrappers.sb3.callbacks import curriculum_figures
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.persistence import load_model_state, model_state
from hxwrappers.sb3.stateful import novelty_models, wrappers


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
        row = self.rows[-1]
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
    that was found, from wherever, `way_reach` how many points from its end episodes start,
    and `first_reward` the step at which any reward was first met.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rooms: set[int] = set()
        self.first_reward: int | None = None
        self._bonuses: list[float] = []

    def read(self, info: Mapping[str, Any]) -> None:
        """Take bonus and room as well."""
        if info.get("start", "game") == "game":
            super().read(info)
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
        if self.first_reward is not None:
            figures["first_reward"] = float(self.first_reward)
        for layer in wrappers(self.training_env):
            if isinstance(layer, VecNoveltyResets) and layer.archive.ways:
                figures["way_score"] = layer.archive.score
                figures["way_reach"] = layer.archive.reach
        self._bonuses.clear()
        self.logger.record("exploration/rooms", figures["rooms"])
        self.logger.record("exploration/episodes", self.episodes)
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
        first = -1 if self.first_reward is None else self.first_reward
        return {**super().state_dict(), "rooms": sorted(self.rooms), "first_reward": first}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        super().load_state_dict(state)
        self.rooms = set(state["rooms"])
        first = int(state["first_reward"])
        self.first_reward = None if first < 0 else first


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
        figures = curriculum_figures(self.tracker)
        for name, value in figures.items():
            self.logger.record(f"curriculum/{name}", value)
        return figures

    def shown(self) -> dict[str, str]:
        """Frontier and success rate."""
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


CHECKPOINT, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
KIND = "TrainingRun"


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
        history: What is kept of the run's course.
        stop_when: Asked after each rollout; true ends the run.
        callbacks: Further callbacks for the model's training.

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
        if self.checkpoint_every < 1:
            raise InvalidArgumentError(
                f"checkpoint_every is {self.checkpoint_every}; it must be at least 1."
            )
        for name in ("learning_rate", "clip_range", "clip_range_vf"):
            value = getattr(self.model, name, None)
            if callable(value) and value(1.0) != value(0.0):  # some are functions even if constant
                raise InvalidArgumentError(
                    f"A TrainingRun has no end that a schedule of the {name} could refer to; make "
                    f"the model with a constant {name}."
                )
        self.folder = Path(self.folder)
        self.interrupted = False

    def resume(self) -> int:
        """Load the checkpoint in the folder, and get the number of steps it has behind it.

        Raises:
            CheckpointError: There is none, or it does not fit the model.
        """
        path = self.folder / CHECKPOINT
        state = load_newest([path, self.folder / PREVIOUS], KIND)
        with checkpoint_errors(f"{path} is incomplete"):
            model, history = state["model"], state["history"]
            load_model_state(self.model, model)
            self.history.load_state_dict(history)
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
                f"{self.folder} holds a run already: give --resume to go on with it, or another "
                "--folder."
            )
        return self.model.num_timesteps

    def train(self, total_timesteps: int | None = None) -> History:
        """Train until the model has made so many steps, `stop_when` says so, or a signal comes.

        Without a number of steps the last two alone end it.

        Ctrl-C or SIGTERM ends the run after the current rollout, with a checkpoint; `interrupted`
        is then true.

        Raises:
            WorkerError: The process of an environment has died. What was learned up to then is
                saved first.
            FileWriteError: The last checkpoint cannot be written; call `save` once there is room.
                (One in the midst of training is tried again when the next is due.)
        """
        model, saved = self.model, self.model.num_timesteps
        log = _TensorBoard(self.folder, saved)
        model.set_logger(Logger(str(self.folder), [log]))
        with (
            tqdm(
                total=total_timesteps, initial=saved, unit="step", disable=not self.progress
            ) as bar,
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
                self._roll_out()
                self._show(bar)
            self.interrupted = stopping()
        self.save()
        return self.history

    def save(self) -> None:
        """Write the checkpoint atomically; the one before it is kept beside it."""
        state = {"model": model_state(self.model), "history": self.history.state_dict()}
        path = self.folder / CHECKPOINT
        save_checkpoint(path, KIND, state, previous=self.folder / PREVIOUS)

    def _roll_out(self) -> None:
        """Collect one rollout and learn from it."""
        try:
            callbacks = [self.history, *self.callbacks]
            self.model.learn(1, callback=callbacks, reset_num_timesteps=False)
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            path = self.folder / CHECKPOINT
            kept = f"is in {path}; go on from there with resume()"
            if not try_to_save(self.save):
                kept = "is in memory alone; call save() once there is room"
            raise WorkerError(
                "The process of an environment has died: it was killed, ran out of memory or "
                f"crashed. What was learned up to step {self.model.num_timesteps:,} {kept}."
            ) from error

    def _begin_segment(self) -> None:
        entropy = np.random.SeedSequence([self.seed, self.model.num_timesteps])
        # Below 2**31 less the number of environments, which seeds of emulators must stay under.
        seed = int(entropy.generate_state(1)[0]) % (2**31 - 2**16)
        env = self.model.get_env()
        if env is not None:
            env.seed(seed)
        self.model._last_obs = None

    def _show(self, bar: tqdm[Any]) -> None:
        bar.update(self.model.num_timesteps - bar.n)
        bar.set_postfix(self.history.shown())


class _TensorBoard(TensorBoardOutputFormat):
    """What the model logs, in the files of an `EventLog`."""

    def __init__(self, folder: Path, steps: int) -> None:
        self.writer = EventLog(folder, steps)
        self._is_closed = False

    def close(self) -> None:
        """Close the file; should the model be trained otherwise, it goes on in another one."""
        self.writer.close()
