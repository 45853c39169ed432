"""Signals that end long work in good order, and processes that must not notice them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

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
