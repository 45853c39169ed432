"""Actors on the machines of a Ray cluster."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers._utils.processes import connect, import_ray
from hxwrappers.errors import WorkerError
from hxwrappers.impala.actor import (
    ActorJob,
    Failure,
    FilledUnroll,
    Ready,
    WatchedActor,
    note_failure,
)
from hxwrappers.impala.reports import Report
from hxwrappers.impala.sampler import Sampler
from hxwrappers.impala.unrolls import Unroll, UnrollShape

UNROLLS_IN_FLIGHT = 2
SECONDS_BETWEEN_CHECKS = 1.0
_Played = tuple[Unroll, Report]


class _RemoteActor:
    """What lives on another machine. What fails there comes back as a `Failure`."""

    def __init__(self, job: ActorJob) -> None:
        self._job = job
        self._sampler: Sampler | None = None
        self._weights: npt.NDArray[np.float32] | None = None
        self._version = 0

    def prepare(self) -> Ready | Failure:
        """Make the environments."""
        torch.set_num_threads(1)
        try:
            env = self._job.make_env()
            self._sampler = Sampler(env, self._job.policy(env, self._read), self._job.seed)
        except Exception as error:  # whatever it is, it must reach the user
            return Failure.of(error)
        return Ready()

    def play(self, weights: npt.NDArray[np.float32], version: int) -> _Played | Failure:
        """Play one unroll with these weights."""
        self._weights, self._version = weights, version
        unroll = UnrollShape.of(self._job.spec, self._job.settings).allocate()
        try:
            assert self._sampler is not None
            return unroll, self._sampler.play(unroll)
        except Exception as error:  # as above
            return Failure.of(error)

    def _read(self, into: Tensor) -> int:
        assert self._weights is not None
        np.copyto(into.numpy(), self._weights)
        return self._version


@dataclass
class _Actor(WatchedActor):
    """One actor and what Ray knows of it.

    Attributes:
        handle: Ray's handle of it.
        warned: Whether the user knows that there is no room for it.
    """

    handle: Any = None
    warned: bool = False


class RayActors:
    """Plays in actors of a Ray cluster, with the interface of `ProcessActors`.

    Unrolls travel through Ray's object store, and so do the weights, once for each version that is
    used. An actor that dies, alone or with its machine, is replaced wherever there is room; until
    there is room, the others go on.

    Args:
        job: What the actors play, and how many there are.
        weights: The first weights, from `flat_weights`.
        version: The version of the first weights.

    Attributes:
        restarts: How many actors were replaced so far.
        process_ids: Empty: the processes are Ray's.

    Raises:
        DependencyNotInstalled: The extra `ray` is missing.
        WorkerError: There is no cluster at `settings.ray_address`.
    """

    def __init__(self, job: ActorJob, weights: Tensor, version: int) -> None:
        self.restarts = 0
        self.process_ids: list[int] = []
        self._ray = import_ray()
        self._job, settings = job, job.settings
        self._started_ray = connect(settings.ray_address)
        self._remote = self._ray.remote(
            num_cpus=settings.cpus_per_actor, max_restarts=0, max_task_retries=0
        )(_RemoteActor)
        self._flights: dict[Any, tuple[_Actor, Any]] = {}
        self._checked = 0.0
        self._actors = [_Actor(number) for number in range(settings.num_actors)]
        self.publish(weights, version)
        try:
            for actor in self._actors:
                self._start(actor)
        except BaseException:
            self.close()
            raise

    def publish(self, weights: Tensor, version: int) -> None:
        """Show new weights to the actors; they take them at their next unroll."""
        self._weights, self._version = weights.numpy().copy(), version
        self._weights_there: Any = None

    def receive(self, timeout: float) -> FilledUnroll | None:
        """Wait for a complete unroll; see `ProcessActors.receive`."""
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            arrived, _ = self._ray.wait(list(self._flights), num_returns=1, timeout=remaining)
            if arrived:
                filled = self._land(arrived[0])
                if filled is not None:
                    return filled
            self._check_silence()
        return None

    def release(self, filled: FilledUnroll) -> None:
        """Let the unroll go, and ask its actor for another one."""
        self._ask(self._actors[filled.slot])

    def close(self) -> None:
        """End the actors, and Ray if it was started here."""
        for actor in self._actors:
            if actor.handle is not None:
                self._ray.kill(actor.handle)
        self._flights.clear()
        if self._started_ray:
            self._ray.shutdown()

    def _start(self, actor: _Actor) -> None:
        actor.handle = self._remote.remote(self._job.of(actor))
        actor.ready, actor.heard = False, time.monotonic()
        actor.starts += 1
        self._flights[actor.handle.prepare.remote()] = (actor, actor.handle)

    def _ask(self, actor: _Actor) -> None:
        """Have as many unrolls of a ready actor in flight as there may be."""
        in_flight = sum(handle is actor.handle for _, handle in self._flights.values())
        if not actor.ready:
            return
        if not in_flight:
            actor.heard = time.monotonic()
        if self._weights_there is None:
            self._weights_there = self._ray.put(self._weights)
        for _ in range(UNROLLS_IN_FLIGHT - in_flight):
            flight = actor.handle.play.remote(self._weights_there, self._version)
            self._flights[flight] = (actor, actor.handle)

    def _land(self, flight: Any) -> FilledUnroll | None:
        """Look at what has arrived; an unroll is returned."""
        actor, handle = self._flights.pop(flight)
        if handle is not actor.handle:
            return None  # sent by one that was replaced
        try:
            answer = self._ray.get(flight, timeout=self._job.settings.actor_timeout)
        except self._ray.exceptions.RayError as error:
            # Its process or its machine is lost: the message says which, and is no traceback.
            self._replace(actor, Failure("WorkerError", str(error).rstrip("."), ""))
            return None
        actor.heard = time.monotonic()
        if isinstance(answer, Failure):
            self._replace(actor, answer)
        elif isinstance(answer, Ready):
            actor.ready = True
            self._ask(actor)
        else:
            actor.failures = 0
            return FilledUnroll(actor.number, *answer)
        return None

    def _replace(self, actor: _Actor, failure: Failure) -> None:
        self._ray.kill(actor.handle)
        note_failure(actor, failure, self._job.settings.max_failures)
        self.restarts += 1
        self._start(actor)

    def _check_silence(self) -> None:
        now = time.monotonic()
        if now - self._checked < SECONDS_BETWEEN_CHECKS:
            return
        self._checked = now
        limit = self._job.settings.actor_timeout
        late = [actor for actor in self._actors if now - actor.heard > limit]
        if not late:
            return
        # What has arrived may have waited for the learner.
        arrived, _ = self._ray.wait(
            list(self._flights), num_returns=len(self._flights), timeout=0, fetch_local=False
        )
        heard = {self._flights[flight][0].number for flight in arrived}
        late = [actor for actor in late if actor.number not in heard]
        for actor in late:
            if actor.ready:
                message = f"nothing was heard of it for {limit:g} s while waiting for an unroll"
                self._replace(actor, Failure("WorkerError", message, ""))
            elif not any(other.ready for other in self._actors):
                raise WorkerError(f"No actor is ready {limit:g} s after its start. {self._room()}")
            elif not actor.warned:
                actor.warned = True
                warnings.warn(
                    f"Actor {actor.number} is not ready {limit:g} s after its start; the others "
                    f"go on. {self._room()}",
                    stacklevel=2,
                )

    def _room(self) -> str:
        return (
            f"The Ray cluster has {self._ray.available_resources().get('CPU', 0):g} CPU free, and "
            f"each actor needs {self._job.settings.cpus_per_actor:g} CPU. Add machines, lower "
            "cpus_per_actor or num_actors, or look why its environments take so long to make."
        )
