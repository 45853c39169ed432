"""What runs in an actor's process."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import CloudpickleWrapper
from torch import Tensor

from hxwrappers.errors import InvalidSpaceError
from hxwrappers.impala.acting import NetPolicy
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.reports import Report
from hxwrappers.impala.sampler import Sampler, run_actor
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.spec import EnvSpec
from hxwrappers.impala.unrolls import SharedArrays, Unroll
from hxwrappers.impala.weights import SharedWeights

__all__ = ["ActorJob", "Delivery", "Failure", "MakeVectorEnv", "Ready", "act", "acting_policy"]

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


class _LearnerGoneError(Exception):
    """There is nobody at the other end of the pipe any more."""


@contextmanager
def _talking() -> Iterator[None]:
    # Told apart from such errors of an environment, which may have processes of its own.
    try:
        yield
    except (EOFError, OSError) as error:
        raise _LearnerGoneError from error


class _PipeSink:
    """Fills the slots whose numbers come through a pipe, and sends the numbers back."""

    def __init__(self, pipe: Connection, slots: SharedArrays) -> None:
        self._pipe, self._slots = pipe, slots
        self._slot = -1

    def acquire(self) -> Unroll | None:
        """Wait for the number of a slot; the learner's end, however it comes, ends the wait."""
        with _talking():
            slot = self._pipe.recv()
        if slot is None:
            return None
        self._slot = slot
        return Unroll.of(self._slots.arrays(slot))

    def deliver(self, unroll: Unroll, report: Report) -> None:  # noqa: ARG002 - it is in the slot
        """Send the slot's number back."""
        with _talking():
            self._pipe.send(Delivery(self._slot, report))


def act(pipe: Connection, job: ActorJob) -> None:
    """Play until the learner says that it is enough, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the learner
    torch.set_num_threads(1)
    try:
        env: VectorEnv = job.make_env()
        try:
            policy = acting_policy(
                env, job.spec, job.settings, job.precision, job.weights.read, job.seed
            )
            with _talking():
                pipe.send(Ready())
            run_actor(Sampler(env, policy, job.seed), _PipeSink(pipe, job.slots))
        finally:
            env.close()
    except _LearnerGoneError:
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
        InvalidSpaceError: They differ from what they must be like.
    """
    for name, found, needed in zip(spec._fields, EnvSpec.of(env), spec, strict=True):
        if found != needed:
            raise InvalidSpaceError(
                f"This actor's environments differ from those that the learner was made for: "
                f"{name} is {found}, but must be {needed}. The function that makes environments "
                "must make the same kind each time."
            )
    net = ImpalaNet.of(spec, settings, precision)
    return NetPolicy(net, read_weights, seed)
