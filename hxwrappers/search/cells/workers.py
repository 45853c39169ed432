"""Workers that explore: this process, or several others."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, Protocol

from hxwrappers import errors
from hxwrappers._utils.signals import ignore_interrupts
from hxwrappers.errors import DemoError, HxWrappersError

_MAX_DEATHS_IN_A_ROW = 3
_SECONDS_TO_END = 5.0


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

    count: int
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

    count = 1
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
        count: How many processes.
        deaths: How many died so far.
    """

    def __init__(self, make: MakeExplorer, settings: Any, count: int, reference: bytes) -> None:
        self.count = count
        self.deaths = 0
        self._make = make
        self._settings = settings
        self._reference = reference
        self._context = multiprocessing.get_context("spawn")
        self._deaths_in_a_row = 0
        self._lost: list[Report] = []
        self._processes: list[Any] = [None] * count
        self._pipes: list[Any] = [None] * count
        for worker in range(count):
            self._start(worker)

    @property
    def process_ids(self) -> list[int]:
        """The ids of the processes, by number of the worker."""
        return [process.pid for process in self._processes]

    def send(self, worker: int, order: Any) -> None:
        """Send an order to a process."""
        try:
            self._pipes[worker].send(order)
        except OSError:
            self._lost.append(self._replace(worker))

    def receive(self) -> list[Report]:
        """Wait until a process reports, or dies.

        Raises:
            DemoError: A process failed, or several died in a row without a report.
            DemoError: The cell function failed in a process.
        """
        if self._lost:
            reports, self._lost = self._lost, []
            return reports
        ready = wait(self._pipes)
        return [self._read(worker) for worker, pipe in enumerate(self._pipes) if pipe in ready]

    def close(self) -> None:
        """End the processes."""
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            pipe.close()
            process.terminate()
        for process in self._processes:
            process.join(_SECONDS_TO_END)
            process.kill()  # one that is stopped does not hear that it shall end
            process.join()
            process.close()

    def _start(self, worker: int) -> None:
        mine, its = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(its, self._make, self._settings, self._reference), daemon=True
        )
        with ignore_interrupts():
            process.start()
        its.close()
        self._processes[worker], self._pipes[worker] = process, mine

    def _read(self, worker: int) -> Report:
        try:
            answer = self._pipes[worker].recv()
        except (EOFError, OSError):
            return self._replace(worker)
        if isinstance(answer, list):
            self._deaths_in_a_row = 0
            return Report(worker, answer)
        kind, message = answer
        found = getattr(errors, kind, None)
        if isinstance(found, type) and issubclass(found, HxWrappersError):
            raise found(message)
        raise DemoError(f"A worker of the search failed: {kind}: {message}")

    def _replace(self, worker: int) -> Report:
        process = self._processes[worker]
        process.join(_SECONDS_TO_END)
        process.kill()
        process.join()
        self.deaths += 1
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _MAX_DEATHS_IN_A_ROW:
            raise DemoError(
                f"{self._deaths_in_a_row} workers of the search died one after the other, the last "
                f"with exit code {process.exitcode} (a negative one is the signal that ended it; "
                "-9 is often too little memory). Try it with one worker to see why. A script that "
                "starts several needs `if __name__ == '__main__':` around what it does, since each "
                "worker imports it."
            )
        self._pipes[worker].close()
        self._start(worker)
        return Report(worker, None)


def _work(pipe: Connection, make: MakeExplorer, settings: Any, reference: bytes) -> None:
    """What runs in a worker's process: do orders until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the process that gives orders
    try:
        explorer = make(settings, reference)
        while True:
            pipe.send(explorer.carry_out(pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # whatever it is, it must reach the process that gives orders
        pipe.send((type(error).__name__, str(error)))
