"""Workers that explore: this process, or several others."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Protocol

from hxwrappers._utils.processes import (
    ADVICE,
    WorkerProcess,
    cause_of_death,
    end_all,
    serve,
)
from hxwrappers.errors import DemoError, HxWrappersError, WorkerError

_MAX_DEATHS_IN_A_ROW = 3


class Explores(Protocol):
    """What a worker explores with: it does orders."""

    def carry_out(self, order: Any) -> list[Any]:
        """Do an order and give what came of it."""


MakeExplorer = Callable[[Any, bytes], Explores]
"""Makes what a worker process explores with, from the settings and the reference of the packed
snapshots; a class or function of a module, so that the process can import it."""


class Report(NamedTuple):
    """What one worker did.

    Attributes:
        worker: Its number.
        explorations: What came of its order; None where the worker died. Another one, which knows
            nothing yet, has then taken its number.
    """

    worker: int
    explorations: list[Any] | None


class Workers(Protocol):
    """Some explorers, each of which does one order at a time."""

    deaths: int

    def send(self, worker: int, order: Any) -> None:
        """Give an order to a worker that has none."""

    def receive(self) -> list[Report]:
        """Wait until at least one order is done."""

    def close(self) -> None:
        """End the workers."""


class OwnWorker:
    """One worker in this very process: every search with the same settings is the same.

    Args:
        explorer: What explores.
    """

    deaths = 0

    def __init__(self, explorer: Explores) -> None:
        self._explorer = explorer
        self._order: Any | None = None

    def send(self, worker: int, order: Any) -> None:  # noqa: ARG002 - there is but one
        """Take an order; it is done when it is asked for."""
        self._order = order

    def receive(self) -> list[Report]:
        """Do the order."""
        assert self._order is not None, "nothing was sent"
        return [Report(0, self._explorer.carry_out(self._order))]

    def close(self) -> None:
        """Nothing is left to end."""


class ProcessWorkers:
    """Workers in processes of their own; one that dies is replaced, and its order is lost.

    Args:
        make: Makes what a process explores with.
        settings: What to search and how.
        count: How many processes.
        reference: What packed snapshots are compressed against.

    Attributes:
        deaths: How many died so far.
    """

    def __init__(self, make: MakeExplorer, settings: Any, count: int, reference: bytes) -> None:
        self.deaths = 0
        self._arguments = make, settings, reference
        self._deaths_in_a_row = 0
        self._workers = [self._start() for _ in range(count)]

    @property
    def process_ids(self) -> list[int]:
        """The ids of the processes, by number of the worker."""
        return [worker.pid for worker in self._workers]

    def send(self, worker: int, order: Any) -> None:
        """Send an order to a process."""
        self._workers[worker].call("carry_out", order)

    def receive(self) -> list[Report]:
        """Wait until a process reports, or dies.

        Raises:
            WorkerError: Several died in a row without a report.
            DemoError: A process failed, for example in the cell function.
        """
        ready = wait([worker.pipe for worker in self._workers])
        return [self._read(n) for n, worker in enumerate(self._workers) if worker.pipe in ready]

    def close(self) -> None:
        """End the processes, which have nothing to bring to an end."""
        end_all(self._workers, seconds=0.0)

    def _start(self) -> WorkerProcess:
        return WorkerProcess("A worker of the search", serve, *self._arguments)

    def _read(self, number: int) -> Report:
        try:
            explorations, error = self._workers[number].receive()
        except EOFError:
            return self._replace(number)
        if isinstance(error, HxWrappersError):
            raise error
        if error is not None:
            kind = type(error).__name__
            raise DemoError(f"A worker of the search failed: {kind}: {error}") from error
        self._deaths_in_a_row = 0
        return Report(number, explorations)

    def _replace(self, number: int) -> Report:
        code = self._workers[number].end()
        self._workers[number] = self._start()
        self.deaths += 1
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _MAX_DEATHS_IN_A_ROW:
            raise WorkerError(
                f"{self._deaths_in_a_row} workers of the search died one after the other (the last "
                f"{cause_of_death(code)}). {ADVICE} With one worker an error is shown in full."
            )
        return Report(number, None)
