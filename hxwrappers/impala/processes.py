"""Actors in processes of this machine: started, watched, replaced and ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from hxwrappers._utils.processes import WorkerProcess, end_all, fast_context
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
from hxwrappers.impala.unrolls import SharedArrays, SharedWeights, Unroll, UnrollShape

SLOTS_PER_ACTOR = 2


class Delivery(NamedTuple):
    """The actor has filled a slot."""

    slot: int
    report: Report


class _LearnerStoppedError(Exception):
    """There is nobody at the other end of the pipe any more."""


@contextmanager
def _connection() -> Iterator[None]:
    # Told apart from such errors of an environment, which may have processes of its own.
    try:
        yield
    except (EOFError, OSError) as error:
        raise _LearnerStoppedError from error


def act(pipe: Connection, job: ActorJob, slots: SharedArrays, weights: SharedWeights) -> None:
    """Fill the slots whose numbers come through the pipe, until the learner ends or is gone."""
    torch.set_num_threads(1)
    try:
        env: VectorEnv = job.make_env()
        try:
            policy = job.policy(env, weights.read)
            with _connection():
                pipe.send(Ready())
            sampler = Sampler(env, policy, job.seed)
            while True:
                with _connection():
                    slot = pipe.recv()
                if slot is None:
                    return
                report = sampler.play(Unroll.of(slots.arrays(slot)))
                with _connection():
                    pipe.send(Delivery(slot, report))
        finally:
            env.close()
    except _LearnerStoppedError:
        return
    except Exception as error:  # whatever it is, it must reach the user
        with suppress(OSError):
            pipe.send(Failure.of(error))


@dataclass
class _Actor(WatchedActor):
    """One actor and its process.

    Attributes:
        slots: The slots that it alone may write into.
        worker: Its process; None before its start.
        filling: The slots that it was told to fill.
    """

    slots: range = range(0)
    worker: Any = None
    filling: set[int] = field(default_factory=set)


class ProcessActors:
    """Plays in several processes and hands their unrolls out as they are completed.

    Each actor owns slots of shared memory. It writes into one only when told to, and the learner
    reads one only when told that it is complete: what a killed actor left half-written is never
    read. Actors that die are replaced.

    Args:
        job: What the actors play, and how many there are.
        weights: The first weights, from `flat_weights`.
        version: The version of the first weights.

    Attributes:
        restarts: How many actors were replaced so far.
    """

    def __init__(self, job: ActorJob, weights: Tensor, version: int) -> None:
        self.restarts = 0
        self._job, settings = job, job.settings
        # What they are forked from imports all, so that they share the memory of the imports.
        self._context = fast_context()
        self._context.set_forkserver_preload([act.__module__])
        shape = UnrollShape.of(job.spec, settings)
        count = settings.num_actors * SLOTS_PER_ACTOR
        self._slots = SharedArrays(shape.fields(), self._context, count)
        self._free = [True] * count
        self._weights = SharedWeights(len(weights), self._context)
        self.publish(weights, version)
        self._filled: deque[FilledUnroll] = deque()
        self._actors: list[_Actor] = []
        try:
            for number in range(settings.num_actors):
                first = number * SLOTS_PER_ACTOR
                self._actors.append(_Actor(number, slots=range(first, first + SLOTS_PER_ACTOR)))
                self._start(self._actors[-1])
        except BaseException:
            self.close()
            raise

    @property
    def process_ids(self) -> list[int]:
        """The ids of the actors' processes."""
        return [actor.worker.pid for actor in self._actors]

    def publish(self, weights: Tensor, version: int) -> None:
        """Show new weights to the actors; they take them at their next unroll."""
        self._weights.publish(weights, version)

    def receive(self, timeout: float) -> FilledUnroll | None:
        """Wait for a complete unroll.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            The unroll that was completed first; None if there was none in that time.

        Raises:
            WorkerError: An actor failed or died again and again; the cause is in the message.
            HxWrappersError: An actor failed with an error of this library.
        """
        deadline = time.monotonic() + timeout
        while not self._filled:
            remaining = deadline - time.monotonic()
            if remaining < 0:
                return None
            doors: dict[Any, _Actor] = {}
            for actor in self._actors:
                doors |= {actor.worker.pipe: actor, actor.worker.process.sentinel: actor}
            opened = {doors[door].number for door in wait(list(doors), min(remaining, 1.0))}
            for number in sorted(opened):
                self._attend(self._actors[number])
            self._replace_silent()  # only now: what they said may have waited for the learner
        return self._filled.popleft()

    def release(self, filled: FilledUnroll) -> None:
        """Give an unroll back; its arrays must not be read any more."""
        self._free[filled.slot] = True
        self._hand_out(self._actors[filled.slot // SLOTS_PER_ACTOR])

    def close(self) -> None:
        """End the actors, by force if they do not end by themselves within some seconds."""
        started = [actor.worker for actor in self._actors if actor.worker is not None]
        for worker in started:
            worker.send(None)
        end_all(started)
        self._actors = []

    def _start(self, actor: _Actor) -> None:
        # Not a daemon, since those may not start processes, as an AsyncVectorEnv does.
        actor.worker = WorkerProcess(
            f"Actor {actor.number}",
            act,
            self._job.of(actor),
            self._slots,
            self._weights,
            context=self._context,
            daemon=False,
        )
        actor.ready, actor.heard = False, time.monotonic()
        actor.starts += 1

    def _attend(self, actor: _Actor) -> None:
        """Read what an actor has sent, and replace it if it is dead."""
        try:
            while actor.worker.pipe.poll():
                self._read(actor, actor.worker.receive())
        except (EOFError, OSError):
            self._replace(actor, None)
            return
        if not actor.worker.process.is_alive() and not actor.worker.pipe.poll():
            self._replace(actor, None)

    def _read(self, actor: _Actor, message: Ready | Delivery | Failure) -> None:
        actor.heard = time.monotonic()
        if isinstance(message, Delivery):
            actor.filling.remove(message.slot)
            actor.failures = 0
            unroll = Unroll.of(self._slots.arrays(message.slot))
            self._filled.append(FilledUnroll(message.slot, unroll, message.report))
        elif isinstance(message, Ready):
            actor.ready = True
            self._hand_out(actor)
        else:
            self._replace(actor, message)

    def _hand_out(self, actor: _Actor) -> None:
        """Tell an actor to fill its free slots."""
        if not actor.ready:
            return
        if not actor.filling:
            actor.heard = time.monotonic()
        for slot in actor.slots:
            if self._free[slot]:
                actor.worker.send(slot)
                self._free[slot] = False
                actor.filling.add(slot)

    def _replace_silent(self) -> None:
        limit = self._job.settings.actor_timeout
        for actor in self._actors:
            expected = bool(actor.filling) or not actor.ready
            if expected and time.monotonic() - actor.heard > limit:
                waited = "an unroll" if actor.ready else "its environments to be made"
                actor.worker.process.kill()
                message = f"nothing was heard of it for {limit:g} s while waiting for {waited}"
                self._replace(actor, Failure("silence", message, ""))

    def _replace(self, actor: _Actor, failure: Failure | None) -> None:
        """Start a new process in place of a dead one, unless that has gone on for too long."""
        code = actor.worker.end()
        actor.worker = None
        for slot in actor.filling:
            self._free[slot] = True
        actor.filling.clear()
        note_failure(actor, failure, self._job.settings.max_failures, code)
        self.restarts += 1
        self._start(actor)
