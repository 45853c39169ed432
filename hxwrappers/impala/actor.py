"""Actors: the loop that runs in each, and the interface that the learner sees."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import torch
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import CloudpickleWrapper
from torch import Tensor
from tqdm import tqdm

from hxwrappers import errors
from hxwrappers._utils.processes import ADVICE, cause_of_death
from hxwrappers.errors import HxWrappersError, InvalidArgumentError, WorkerError
from hxwrappers.files.generators import ENV_SEEDS, derived_seed
from hxwrappers.impala.acting import NetPolicy
from hxwrappers.impala.layout import EnvSpec
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.reports import Report
from hxwrappers.impala.sampler import Sampler, run_actor
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import SharedArrays, SharedWeights, Unroll

MakeVectorEnv = Callable[[], VectorEnv]
"""Makes the environments of one actor."""


class Ready(NamedTuple):
    """The actor has made its environments."""


class Delivery(NamedTuple):
    """The actor has filled a slot."""

    slot: int
    report: Report


class Failure(NamedTuple):
    """The actor ends because of an error."""

    kind: str
    message: str
    traceback: str


@dataclass(frozen=True)
class ActorJob:
    """All that an actor's process needs.

    Attributes:
        make_env: Makes its environments.
        spec: What they must be like.
        settings: How IMPALA learns.
        precision: "float32" or "bfloat16".
        slots: Memory for unrolls, those of all actors.
        weights: The learner's weights.
        seed: Seed of this actor.
    """

    make_env: CloudpickleWrapper[Any]
    spec: EnvSpec
    settings: ImpalaSettings
    precision: str
    slots: SharedArrays
    weights: SharedWeights
    seed: int


class _LearnerStoppedError(Exception):
    """There is nobody at the other end of the pipe any more."""


@contextmanager
def _connection() -> Iterator[None]:
    # Told apart from such errors of an environment, which may have processes of its own.
    try:
        yield
    except (EOFError, OSError) as error:
        raise _LearnerStoppedError from error


class _PipeSink:
    """Fills the slots whose numbers come through a pipe, and sends the numbers back."""

    def __init__(self, pipe: Connection, slots: SharedArrays) -> None:
        self._pipe, self._slots = pipe, slots
        self._slot = -1

    def acquire(self) -> Unroll | None:
        """Wait for the number of a slot; the learner's end, however it comes, ends the wait."""
        with _connection():
            slot = self._pipe.recv()
        if slot is None:
            return None
        self._slot = slot
        return Unroll.of(self._slots.arrays(slot))

    def deliver(self, unroll: Unroll, report: Report) -> None:  # noqa: ARG002 - it is in the slot
        """Send the slot's number back."""
        with _connection():
            self._pipe.send(Delivery(self._slot, report))


def act(pipe: Connection, job: ActorJob) -> None:
    """Play until the learner says that it is enough, or is gone."""
    torch.set_num_threads(1)
    try:
        env: VectorEnv = job.make_env()
        try:
            policy = acting_policy(
                env, job.spec, job.settings, job.precision, job.weights.read, job.seed
            )
            with _connection():
                pipe.send(Ready())
            run_actor(Sampler(env, policy, job.seed), _PipeSink(pipe, job.slots))
        finally:
            env.close()
    except _LearnerStoppedError:
        return
    except Exception as error:  # whatever it is, it must reach the user
        with suppress(OSError):
            pipe.send(Failure(type(error).__name__, str(error), traceback.format_exc()))


def acting_policy(
    env: VectorEnv,
    spec: EnvSpec,
    settings: ImpalaSettings,
    precision: str,
    read_weights: Callable[[Tensor], int],
    seed: int,
) -> NetPolicy:
    """Make the policy of an actor, after a look at its environments.

    Raises:
        InvalidArgumentError: They differ from what they must be like.
    """
    for name, found, needed in zip(spec._fields, EnvSpec.of(env), spec, strict=True):
        if found != needed:
            raise InvalidArgumentError(
                f"This actor's environments differ from those that the learner was made for: "
                f"{name} is {found}, but must be {needed}. The function that makes environments "
                "must make the same kind each time."
            )
    net = ImpalaNet.of(spec, settings, precision)
    return NetPolicy(net, read_weights, seed)


class FilledUnroll(NamedTuple):
    """A complete unroll, to be given back with `release`.

    Attributes:
        slot: Its number, or that of its actor.
        unroll: Its arrays, in shared memory.
        report: What happened during it.
    """

    slot: int
    unroll: Unroll
    report: Report


class Actors(Protocol):
    """Those who play."""

    restarts: int

    @property
    def process_ids(self) -> list[int]:
        """The ids of their processes on this machine."""

    def publish(self, weights: Tensor, version: int) -> None:
        """Show new weights to the actors; they take them at their next unroll."""

    def receive(self, timeout: float) -> FilledUnroll | None:
        """Wait for a complete unroll; None if there was none in so many seconds."""

    def release(self, filled: FilledUnroll) -> None:
        """Give an unroll back; its arrays must not be read any more."""

    def close(self) -> None:
        """End the actors."""


def actor_seed(seed: int, number: int, starts: int) -> int:
    """The seed of an actor's environments and choices, another one each time it is started."""
    return derived_seed(seed, "actor", number, starts, below=ENV_SEEDS)


class WatchedActor(Protocol):
    """One actor as the learner sees it.

    Attributes:
        number: Its number; a replacement keeps it.
        ready: Whether its environments are made.
        starts: How often it was started.
        failures: How often it died without an unroll in between.
        told: Why it died when that was last told.
    """

    number: int
    ready: bool
    starts: int
    failures: int
    reported_cause: str


def note_failure(
    actor: WatchedActor, failure: Failure | None, limit: int, code: int | None = None
) -> None:
    """Count that an actor died, and tell why, unless that is the end of the run.

    What it dies of again and again is told once.

    Args:
        actor: The actor.
        failure: What it said, or what was found out about it.
        limit: How often it may die without an unroll in between.
        code: The exit code of its process.

    Raises:
        HxWrappersError: It died too often, or could not even begin to play; says why.
    """
    actor.failures += 1
    at_once = failure is not None and bool(failure.traceback) and actor.starts == 1
    if actor.failures >= limit or (at_once and not actor.ready):
        raise _as_error(actor.number, actor.failures, failure, code)
    why = cause_of_death(code) if failure is None else failure.message
    if why != actor.reported_cause:
        actor.reported_cause = why
        shown = why if failure is None else failure.traceback or why
        tqdm.write(f"Actor {actor.number} has died and is replaced: {shown}", file=sys.stderr)


def _as_error(
    number: int, failures: int, failure: Failure | None, code: int | None
) -> HxWrappersError:
    times = f"{failures} times in a row" if failures > 1 else "at its start"
    who = f"Actor {number} failed {times}"
    if failure is None:
        return WorkerError(
            f"{who}, the last time without an error of its own ({cause_of_death(code)}). {ADVICE}"
        )
    known = getattr(errors, failure.kind, None)
    kind: type[HxWrappersError] = WorkerError
    if isinstance(known, type) and issubclass(known, HxWrappersError):
        kind = known
    cause = f":\n\n{failure.traceback}" if failure.traceback else f": {failure.message}."
    return kind(f"{who}{cause}")
