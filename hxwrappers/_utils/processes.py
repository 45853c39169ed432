"""Processes: signals that end them, workers beside this one, and the connection to Ray."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, Protocol

from hxwrappers._utils.modules import import_optional
from hxwrappers.errors import WorkerError

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextmanager
def stop_on_signals(stop: Callable[[], object] | None = None) -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C, SIGTERM and a closed terminal instead of dying of them; a second Ctrl-C ends.

    Outside the main thread, which alone receives signals, nothing is changed.

    Args:
        stop: Called by the first of them, in the midst of whatever the main thread does.

    Yields:
        A function that says whether one of them came.
    """
    received: list[int] = []

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGINT:
            signal.signal(number, before[number])
        if stop is not None and len(received) == 1:
            stop()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C, which processes started meanwhile inherit, until this ends.

    A process that is still importing would otherwise die of it with a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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


class _Answering(Protocol):
    def answer(self) -> Any: ...


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
        self._awaited = 0
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
        self._awaited += 1

    def answer(self) -> Any:
        """The result of the call that was begun first.

        Raises:
            WorkerError: The process has died.
            Exception: What the call raised there.
        """
        try:
            result, error = self._next_answer()
        except EOFError as lost:
            self.process.join(SECONDS_TO_END)
            raise WorkerError(
                f"{self._role} has died ({cause_of_death(self.process.exitcode)}). {ADVICE}"
            ) from lost
        if error is not None:
            raise error
        return result

    def drop_answers(self) -> None:
        """Wait for the calls that nobody waits for any more, as after an interrupt.

        Their answers would else be taken for those of later calls.
        """
        while self._awaited:
            with suppress(Exception):  # a death is said by the next `answer`
                self._next_answer()

    def _next_answer(self) -> Any:
        try:
            answer = self.receive()
        except Exception:
            self._awaited -= 1
            raise
        self._awaited -= 1  # not after an interrupt: then it is still to come
        return answer

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


def answers(workers: Iterable[_Answering]) -> list[Any]:
    """The results of one call of each, where all have ended, even if some have failed.

    Raises:
        WorkerError: A process has died.
        Exception: What the first of the calls that failed raised there.
    """
    results: list[Any] = []
    errors: list[Exception] = []
    for worker in workers:
        try:
            results.append(worker.answer())
        except Exception as error:  # noqa: PERF203 - the others are waited for too
            errors.append(error)
    if errors:
        raise errors[0]
    return results


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


def import_ray() -> Any:
    """Import Ray.

    Raises:
        DependencyNotInstalled: The extra `ray` is missing.
    """
    return import_optional("ray", "What is on several machines needs Ray", "ray")


def connect(address: str | None) -> bool:
    """Connect this process to a Ray cluster, unless it is connected already.

    Args:
        address: Of the cluster, or "auto" for the one of this machine; None takes the one that the
            variable RAY_ADDRESS names or that runs on this machine, and otherwise starts one.

    Returns:
        Whether it was not connected before.

    Raises:
        DependencyNotInstalled: The extra `ray` is missing.
        WorkerError: There is no cluster at that address.
    """
    ray = import_ray()
    if ray.is_initialized():
        return False
    options = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address, log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise WorkerError(
            f"There is no Ray cluster at {address!r} ({error}). Start one with `ray start --head`, "
            "give the address that it prints, or none for a cluster of this process alone."
        ) from error
    return True
