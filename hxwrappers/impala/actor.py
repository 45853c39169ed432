"""The job of an actor of either kind, and the replacement of actors that die."""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import CloudpickleWrapper
from torch import Tensor
from tqdm import tqdm

from hxwrappers import errors
from hxwrappers._utils.processes import ADVICE, cause_of_death
from hxwrappers.errors import HxWrappersError, InvalidArgumentError, WorkerError
from hxwrappers.files.generators import ENV_SEEDS, derived_seed
from hxwrappers.impala.layout import EnvSpec
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.reports import Report
from hxwrappers.impala.sampler import NetPolicy
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import Unroll


class Ready(NamedTuple):
    """The actor has made its environments."""


class Failure(NamedTuple):
    """The actor ends because of an error."""

    kind: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure by an error that is being handled."""
        return cls(type(error).__name__, str(error), traceback.format_exc())


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


@dataclass(frozen=True)
class ActorJob:
    """What actors play, in whatever process.

    Attributes:
        make_env: Makes the environments of one actor.
        spec: What they must be like.
        settings: How IMPALA learns.
        precision: "float32" or "bfloat16".
        seed: Seed of all actors, or, in the job `of` one, its own.
    """

    make_env: CloudpickleWrapper[Any]
    spec: EnvSpec
    settings: ImpalaSettings
    precision: str
    seed: int

    def of(self, actor: WatchedActor) -> ActorJob:
        """The job of one actor, with another seed each time it is started."""
        seed = derived_seed(self.seed, "actor", actor.number, actor.starts, below=ENV_SEEDS)
        return dataclasses.replace(self, seed=seed)

    def policy(self, env: VectorEnv, read_weights: Callable[[Tensor], int]) -> NetPolicy:
        """Make the policy of an actor, after a look at its environments.

        Raises:
            InvalidArgumentError: They differ from what they must be like.
        """
        for name, found, needed in zip(self.spec._fields, EnvSpec.of(env), self.spec, strict=True):
            if found != needed:
                raise InvalidArgumentError(
                    "This actor's environments differ from those that the learner was made for: "
                    f"{name} is {found}, but must be {needed}. The function that makes "
                    "environments must make the same kind each time."
                )
        net = ImpalaNet.of(self.spec, self.settings, self.precision)
        return NetPolicy(net, read_weights, self.seed)


@dataclass
class WatchedActor:
    """One actor as the learner sees it.

    Attributes:
        number: Its number; a replacement keeps it.
        ready: Whether its environments are made.
        heard: When it last gave a sign of life, or was last given something to do.
        starts: How often it was started.
        failures: How often it died without an unroll in between.
        reported_cause: Why it died, as the user was last told.
    """

    number: int
    ready: bool = False
    heard: float = 0.0
    starts: int = 0
    failures: int = 0
    reported_cause: str = ""


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
