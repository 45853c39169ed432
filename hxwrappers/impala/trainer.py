"""The IMPALA trainer."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import CloudpickleWrapper
from tqdm import tqdm

from hxwrappers._utils.devices import resolve_device, seeded_weights
from hxwrappers._utils.processes import stop_on_signals
from hxwrappers._utils.progress import ProgressBar
from hxwrappers.errors import CheckpointError, HxWrappersError, InvalidArgumentError
from hxwrappers.files.atomic import try_to_save
from hxwrappers.files.checkpoints import checkpoint_errors, require_plain
from hxwrappers.files.generators import derived_seed
from hxwrappers.impala.actor import ActorJob
from hxwrappers.impala.layout import EnvSpec
from hxwrappers.impala.learner import Learner
from hxwrappers.impala.net import ImpalaNet, Trunk, hardware_precision
from hxwrappers.impala.policy import checkpoints, exclusive_run, load_newest, play, save_numbered
from hxwrappers.impala.processes import ProcessActors
from hxwrappers.impala.ray_actors import RayActors
from hxwrappers.impala.reports import Episode, TrainingLog
from hxwrappers.impala.sampler import NetPolicy
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import (
    Batch,
    BatchBuffer,
    Replay,
    UnrollShape,
    copy_weights,
    flat_weights,
)
from hxwrappers.runs.evaluation import MAX_STEPS

POLL_SECONDS = 0.5
MakeVectorEnv = Callable[[], VectorEnv]
"""Makes the environments of one actor."""


class Stateful(Protocol):
    """Something that belongs into checkpoints."""

    def state_dict(self) -> dict[str, Any]:
        """Its state as plain values and tensors."""

    def load_state_dict(self, state: Any) -> None:
        """Restore what `state_dict` gave."""


class Impala:
    """Trains a policy with actors in other processes and a V-trace learner in this one.

    Source: Espeholt et al. 2018, IMPALA (arXiv 1802.01561).

    Args:
        make_env: Makes the environments of one actor: a function without arguments that returns a
            `gymnasium.vector.VectorEnv` with `settings.envs_per_actor` environments, in any
            autoreset mode. It is called in each actor's process, and once here to learn the spaces.
        settings: How to learn.
        folder: Where checkpoints and the TensorBoard log go; None keeps nothing.
        environment: A recipe to keep in checkpoints, from which `hxw evaluate` makes the
            environment, see `hxwrappers.envs.make_from_recipe`.
        also_save: Further things to keep in checkpoints, by name, such as a success table.

    Attributes:
        settings: How to learn.
        spec: What the environments are like.
        num_timesteps: Steps of the environments that came in batches to the learner.
        updates: Steps of the optimizer; batches whose gradient was not finite make none.
        log: Rows of figures, and what was counted.
        interrupted: Whether a signal ended the last `train`.
        process_ids: The ids of the actors' processes while `train` runs.

    Raises:
        InvalidArgumentError: The function makes another number of environments.
        InvalidArgumentError: Observations or actions that IMPALA cannot take, or a net that does
            not fit them.

    Example:
        >>> import gymnasium as gym
        >>> settings = ImpalaSettings(num_actors=1, envs_per_actor=2, batch_size=2, net="mlp")
        >>> run = Impala(lambda: gym.make_vec("CartPole-v1", num_envs=2), settings)
        >>> run.spec.actions.count, run.num_timesteps
        (2, 0)
    """

    def __init__(
        self,
        make_env: MakeVectorEnv,
        settings: ImpalaSettings | None = None,
        folder: str | os.PathLike[str] | None = None,
        *,
        environment: Mapping[str, Any] | None = None,
        also_save: Mapping[str, Stateful] | None = None,
    ) -> None:
        self.settings = settings = settings or ImpalaSettings()
        self.folder = None if folder is None else Path(folder)
        self._make_env = make_env
        self._environment = dict(environment or {})
        self._also_save = dict(also_save or {})
        self.spec = _spec_of(make_env, settings)
        self._device = resolve_device(settings.device)
        with _threads(settings):
            self._precision = hardware_precision(
                settings.precision, self._device, self._trunk(), training=True
            )
        with seeded_weights(settings.seed):
            net = self._net(self._precision)
        self._learner = Learner(net.to(self._device), settings)
        self.num_timesteps = 0
        self.updates = 0
        self.interrupted = False
        self.process_ids: list[int] = []
        self.log = TrainingLog(self.folder, settings.log_every)
        self._restarts = 0
        self._resumed = False
        self._skipped = 0

    def resume(self) -> int:
        """Go on from the newest checkpoint in the folder.

        Returns:
            The number of steps behind it.

        Raises:
            CheckpointError: There is none, or it is of another net or environment.
        """
        if self.folder is None:
            raise InvalidArgumentError("Without a folder there is nothing to resume from.")
        state = load_newest(self.folder)
        with checkpoint_errors("The checkpoint is incomplete"):
            if EnvSpec.from_state(state["spec"])[:2] != self.spec[:2]:
                raise CheckpointError(
                    f"The checkpoint in {self.folder} is of another environment: it had "
                    f"{EnvSpec.from_state(state['spec'])}, this one has {self.spec}."
                )
            self._learner.load_state_dict(state["learner"])
            self.log.load_state_dict(state["log"])
            for name, thing in self._also_save.items():
                thing.load_state_dict(state["also"][name])
            self.num_timesteps = int(state["num_timesteps"])
            self.updates = int(state["updates"])
            self._restarts = int(state["restarts"])
        self._resumed = True
        return self.num_timesteps

    def train(self, total_timesteps: int, *, progress: bool = True) -> TrainingLog:
        """Train until so many steps were learned from, or until Ctrl-C or SIGTERM.

        A signal ends the run after the current batch, with a checkpoint; `interrupted` is then
        true. No process is left behind, whatever ends the run.

        Args:
            total_timesteps: Steps of all environments together, those before a resume included.
            progress: Whether to show a progress bar.

        Raises:
            WorkerError: An actor failed; its traceback is in the message.
            CheckpointError: The folder holds a run already, and `resume` was not called; or another
                process is training there; or something in `also_save` has a state that cannot be
                saved.
            FileWriteError: The last checkpoint cannot be written; call `save` once there is room.
                (One in the midst of training is tried again when the next is due.)
        """
        with nullcontext() if self.folder is None else exclusive_run(self.folder):
            self._train(total_timesteps, progress)
        return self.log

    def _train(self, total_timesteps: int, progress: bool) -> None:
        if self.folder is not None and not self._resumed and checkpoints(self.folder):
            raise CheckpointError(
                f"{self.folder} holds a run already: call resume() (--resume) to go on with "
                "it, or choose another folder."
            )
        for name, thing in self._also_save.items():
            if self.folder is not None:
                require_plain(thing.state_dict(), f"also_save[{name!r}]")
        self._resumed = True
        with (
            stop_on_signals() as stopping,
            _threads(self.settings),
            ProgressBar(
                "step", total_timesteps, initial=self.num_timesteps, hidden=not progress
            ) as bar,
        ):
            self.log.begin(self.num_timesteps)
            try:
                self._run(total_timesteps, stopping, bar)
            except HxWrappersError:  # of an actor, whatever it failed with
                if self.updates:
                    try_to_save(self.save)  # what was learned until then is not lost
                raise
            finally:
                self.log.close()
                self.process_ids = []
            self.interrupted = stopping()
        self.save()

    def save(self) -> Path | None:
        """Write a checkpoint; the last two are kept."""
        if self.folder is None:
            return None
        state = {
            "settings": dataclasses.asdict(self.settings),
            "spec": self.spec.state_dict(),
            "environment": self._environment,
            "learner": self._learner.state_dict(),
            "num_timesteps": self.num_timesteps,
            "updates": self.updates,
            "restarts": self._restarts,
            "log": self.log.state_dict(),
            "also": {name: thing.state_dict() for name, thing in self._also_save.items()},
        }
        return save_numbered(self.folder, self.num_timesteps, state)

    def play(
        self,
        episodes: int,
        *,
        deterministic: bool = False,
        seed: int = 0,
        max_steps: int = MAX_STEPS,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Episode]:
        """Play whole episodes with the current policy, in this process.

        Args:
            episodes: How many at least.
            deterministic: Take the most probable actions instead of drawing them.
            seed: Seed of the episodes and of the draws.
            max_steps: Episodes are cut after so many steps.
            progress: Called with the number of finished episodes and of all, after each.

        Raises:
            InvalidArgumentError: Less than one episode, or than one step.
        """
        net = self._net("float32")
        copy_weights(flat_weights(self._learner.net), net)
        policy = NetPolicy(net, seed=seed, deterministic=deterministic)
        with closing(self._make_env()) as env:
            return play(env, policy, episodes, seed=seed, max_steps=max_steps, progress=progress)

    def _net(self, precision: str) -> ImpalaNet:
        return ImpalaNet.of(self.spec, self.settings, precision)

    def _trunk(self) -> Trunk:
        return Trunk(self.spec.layout, self.settings.net, self.settings.features)

    def _actors_precision(self) -> str:
        """That of actors, which play on CPUs, also where the learner has a GPU."""
        settings = self.settings
        with _threads(dataclasses.replace(settings, learner_threads=1)):
            return hardware_precision(
                settings.precision,
                torch.device("cpu"),
                self._trunk(),
                rows=settings.envs_per_actor,
                training=False,
            )

    def _run(self, total: int, stopping: Callable[[], bool], bar: ProgressBar) -> None:
        settings = self.settings
        restarts_before = self._restarts
        backend = RayActors if settings.backend == "ray" else ProcessActors
        as_any: Any = self._make_env  # the wrapper is annotated for makers of single environments
        job = ActorJob(
            CloudpickleWrapper(as_any),
            self.spec,
            settings,
            self._actors_precision(),
            derived_seed(settings.seed, "actors", self.num_timesteps),
        )
        actors = backend(job, flat_weights(self._learner.net), self.updates)
        try:
            shape = UnrollShape.of(self.spec, settings, settings.batch_size)
            buffer = BatchBuffer(shape, self._device)
            replay = Replay(settings.replay_size, derived_seed(settings.seed, "replay"))
            saved = time.monotonic()
            while self.num_timesteps < total:
                self.process_ids = actors.process_ids
                began = time.perf_counter()
                batch = self._gather(actors, buffer, stopping)
                if batch is None:
                    break
                waited = time.perf_counter() - began
                updates = self.updates
                learned = self._learn(batch, self.num_timesteps / total, waited)
                self.num_timesteps += int(batch.valid.sum())
                if settings.replay and learned:
                    replay.add(batch)
                    for _ in range(settings.replay):
                        self._learn(replay.draw(), self.num_timesteps / total)
                if self.updates > updates:
                    actors.publish(flat_weights(self._learner.net), self.updates)
                self._restarts = restarts_before + actors.restarts
                last = self.num_timesteps >= total
                self.log.row(self.num_timesteps, self.updates, self._restarts, bar, last)
                if time.monotonic() - saved >= settings.checkpoint_every and not last:
                    try_to_save(self.save)
                    saved = time.monotonic()
            self.log.row(self.num_timesteps, self.updates, self._restarts, bar, last=True)
        finally:
            actors.close()

    def _learn(self, batch: Batch, progress: float, waited: float = 0.0) -> bool:
        """One step of the optimizer, which came after some seconds of waiting for the batch.

        Returns:
            Whether the step was made; it is not where the gradient is not finite.
        """
        figures = self._learner.learn(batch, progress)
        skipped = bool(figures["skipped_updates"])
        if skipped:
            self._tell_skipped()
        else:
            self.updates += 1
        self.log.update(figures, waited)
        return not skipped

    def _tell_skipped(self) -> None:
        self._skipped += 1
        if self._skipped == 1:
            tqdm.write(
                f"Nothing was learned from the batch before step {self.num_timesteps:,}: its "
                "gradient was not finite, though its observations and rewards were. Where many are "
                "like this (train/skipped_updates in the log), lower the learning rate or clip "
                "the rewards.",
                file=sys.stderr,
            )

    def _gather(
        self, actors: ProcessActors | RayActors, buffer: BatchBuffer, stopping: Callable[[], bool]
    ) -> Batch | None:
        """Put a batch together; None if the run is to stop."""
        while not buffer.is_full:
            if stopping():
                return None
            filled = actors.receive(POLL_SECONDS)
            if filled is None:
                continue
            buffer.add(filled.unroll)
            self.log.report(filled.report, self.updates - filled.report.version)
            actors.release(filled)
        return buffer.take()


def _spec_of(make_env: MakeVectorEnv, settings: ImpalaSettings) -> EnvSpec:
    with closing(make_env()) as env:
        spec = EnvSpec.of(env)
    if spec.num_envs != settings.envs_per_actor:
        raise InvalidArgumentError(
            f"make_env made {spec.num_envs} environments, but envs_per_actor is "
            f"{settings.envs_per_actor}. Make them the same."
        )
    return spec


@contextmanager
def _threads(settings: ImpalaSettings) -> Iterator[None]:
    """As many threads of torch as the settings ask for, or as the actors leave free."""
    before = torch.get_num_threads()
    others = settings.num_actors if settings.backend == "processes" else 0
    torch.set_num_threads(settings.learner_threads or max(before - others, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)
