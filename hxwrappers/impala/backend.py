"""What the learner needs of those who play, whether they are processes or on other machines."""

from __future__ import annotations

import signal
import sys
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor
from tqdm import tqdm

from hxwrappers import errors
from hxwrappers.errors import ActorError, HxWrappersError
from hxwrappers.impala.actor import Failure
from hxwrappers.impala.reports import Report
from hxwrappers.impala.unrolls import Unroll

__all__ = ["Actors", "Filled", "actor_seed", "note_failure"]


class Filled(NamedTuple):
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

    def receive(self, timeout: float) -> Filled | None:
        """Wait for a complete unroll; None if there was none in so many seconds."""

    def release(self, filled: Filled) -> None:
        """Give an unroll back; its arrays must not be read any more."""

    def close(self) -> None:
        """End the actors."""


def actor_seed(seed: int, number: int, starts: int) -> int:
    """The seed of an actor's environments and choices, another one each time it is started."""
    entropy = np.random.SeedSequence([seed, number, starts])
    # Below 2**31 less the number of environments, which seeds of emulators must stay under.
    return int(entropy.generate_state(1)[0]) % (2**31 - 2**16)


class Watched(Protocol):
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
    told: str


def note_failure(
    actor: Watched, failure: Failure | None, limit: int, code: int | None = None
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
    why = _cause(code) if failure is None else failure.message
    if why != actor.told:
        actor.told = why
        shown = why if failure is None else failure.traceback or why
        tqdm.write(f"Actor {actor.number} has died and is replaced: {shown}", file=sys.stderr)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _as_error(
    number: int, failures: int, failure: Failure | None, code: int | None
) -> HxWrappersError:
    times = f"{failures} times in a row" if failures > 1 else "at its start"
    who = f"Actor {number} failed {times}"
    if failure is None:
        return ActorError(
            f"{who}, the last time without an error of its own ({_cause(code)}; SIGKILL is often "
            "too little memory). A script that trains needs `if __name__ == '__main__':` around "
            "what it does, since each actor imports it."
        )
    known = getattr(errors, failure.kind, None)
    kind: type[HxWrappersError] = ActorError
    if isinstance(known, type) and issubclass(known, HxWrappersError):
        kind = known
    cause = f":\n\n{failure.traceback}" if failure.traceback else f": {failure.message}."
    return kind(f"{who}{cause}")
