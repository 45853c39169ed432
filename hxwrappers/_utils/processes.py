"""Worker processes: started, called through a pipe, ended, and named when they die."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from hxwrappers._utils.signals import ignore_interrupts
from hxwrappers.errors import WorkerError

SECONDS_TO_END = 5.0


def fast_context(method: str | None = None) -> Any:
    """A `multiprocessing` context with the fastest safe start of processes that there is.

    Forks of a server that has done nothing yet start in a moment. Windows has no forks: there
    each process imports everything itself.

    Args:
        method: "forkserver", "spawn" or "fork" instead.
    """
    known = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context(
        method or ("forkserver" if "forkserver" in known else "spawn")
    )


class WorkerProcess:
    """A process of this program's own and the pipe to it.

    It ignores Ctrl-C from its start on: that is for the process that gives the orders.

    Args:
        role: What it is, as an error about it begins: "A process that plays games"; its name.
        work: Runs in it, with its end of the pipe and then `arguments`; a function of a module.
        arguments: For `work`.
        context: The `multiprocessing` context; "spawn" unless given.
        daemon: Whether it ends with this process; then it cannot start processes itself.

    Attributes:
        process: The process.
        pipe: This end of its pipe.
    """

    def __init__(
        self,
        role: str,
        work: Callable[..., object],
        *arguments: Any,
        context: Any = None,
        daemon: bool = True,
    ) -> None:
        context = context or multiprocessing.get_context("spawn")
        self._role = role
        self.pipe: Any
        self.pipe, there = context.Pipe()
        self.process: Any = context.Process(
            target=_run, name=role, args=(work, there, self.pipe, arguments), daemon=daemon
        )
        with ignore_interrupts():
            self.process.start()
        there.close()

    @property
    def pid(self) -> int:
        """Its number on this machine."""
        number: int = self.process.pid
        return number

    def send(self, message: Any) -> None:
        """Send a message; whether the process is still there is seen by `receive`."""
        with suppress(OSError):
            self.pipe.send(message)

    def receive(self) -> Any:
        """Wait for a message.

        Raises:
            EOFError: The process has died.
        """
        try:
            return self.pipe.recv()
        except OSError as error:
            raise EOFError from error

    def call(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Begin a call of what the process `serve`s; `answer` waits for its end."""
        self.send((method, args, kwargs))

    def answer(self) -> Any:
        """The result of the call that was begun first.

        Raises:
            WorkerError: The process has died.
            Exception: What the call raised there.
        """
        try:
            result, error = self.receive()
        except EOFError as lost:
            self.process.join(SECONDS_TO_END)
            raise WorkerError(
                f"{self._role} has died ({cause_of_death(self.process.exitcode)}). {ADVICE}"
            ) from lost
        if error is not None:
            raise error
        return result

    def end(self, seconds: float = SECONDS_TO_END) -> int:
        """End the process, by force if it does not end by itself.

        Args:
            seconds: What it has for it.

        Returns:
            Its exit code; a negative one is the signal that ended it.
        """
        self.pipe.close()
        self.process.join(seconds)
        for force in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                force()
                self.process.join(SECONDS_TO_END)
        code: int = self.process.exitcode
        self.process.close()
        return code


ADVICE = (
    "SIGKILL is often too little memory. A script that starts processes needs "
    "`if __name__ == '__main__':` around what it does, since each of them imports it."
)


def cause_of_death(code: int | None) -> str:
    """What an exit code says.

    Example:
        >>> cause_of_death(-9), cause_of_death(3)
        ('killed by SIGKILL', 'exit code 3')
    """
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def end_all(workers: Iterable[WorkerProcess], seconds: float = SECONDS_TO_END) -> None:
    """End processes at once: all of them have the same seconds for it."""
    workers = list(workers)
    for worker in workers:
        worker.pipe.close()
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.end(max(deadline - time.monotonic(), 0.0))


def serve(pipe: Connection, make: Callable[..., Any], *arguments: Any) -> None:
    """Do the calls of a `WorkerProcess` with what `make` makes, until the pipe is closed.

    Args:
        pipe: Its end of the pipe.
        make: Makes an object, whose methods are called; a `close` at the end, if it has one.
        arguments: For `make`.
    """
    served: Any = None
    with suppress(EOFError, OSError):
        try:
            served = make(*arguments)
        except Exception as error:
            pipe.send((None, _sendable(error)))
            return
        while True:
            method, args, kwargs = pipe.recv()
            try:
                pipe.send((getattr(served, method)(*args, **kwargs), None))
            except Exception as error:
                pipe.send((None, _sendable(error)))
    getattr(served, "close", lambda: None)()


def _run(
    work: Callable[..., object], pipe: Connection, other_end: Connection, arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    other_end.close()  # a fork has it open too, and would never see its end
    work(pipe, *arguments)


def _sendable(error: Exception) -> Exception:
    """The error with the place where it happened, or its text where it cannot be sent."""
    where = "".join(traceback.format_exception(error))
    try:
        copy.copy(error)  # it is made anew at the other end, which not all can be
        pickle.dumps(error)
    except Exception:
        return WorkerError(f"A worker process failed:\n{where}")
    # What `add_note` does, which Python 3.10 does not have.
    error.__notes__ = [*getattr(error, "__notes__", []), f"In a worker process:\n{where}"]
    return error
