"""The game in a thread of its own, which no client can slow down."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos.play import View
from hxwrappers.studio.desk import Desk
from hxwrappers.studio.messages import Message
from hxwrappers.studio.outbox import Frame

__all__ = ["Stage", "encode_png"]

_MOST_WAITING = 256


class Stage(threading.Thread):
    """Plays the desk's session until it is finished.

    Everything but the methods here runs in the thread.

    Args:
        desk: What is played.
        show: Called with each message for all clients, and with each frame.
        finish: Called at the end; gives a sentence about how it ended, for all clients.

    Attributes:
        error: What ended the game before its time, or None.
    """

    def __init__(
        self,
        desk: Desk,
        show: Callable[[dict[str, Any] | Frame], object],
        finish: Callable[[], str],
    ) -> None:
        super().__init__(name="stage", daemon=True)
        self.error: BaseException | None = None
        self._desk = desk
        self._show = show
        self._finish = finish
        self._wakes = threading.Condition()
        # A flood of messages loses its oldest ones.
        self._inbox: deque[Message | None] = deque(maxlen=_MOST_WAITING)
        self._is_stale = self._is_stopped = False
        self._last: View | None = None
        self._head: dict[str, Any] = {}
        self._run = self._number = 0

    def tell(self, message: Message | None) -> None:
        """Pass on a message of the client that controls; None where that client is gone."""
        with self._wakes:
            self._inbox.append(message)
            self._wakes.notify()

    def refresh(self) -> None:
        """Show everything again, for somebody new."""
        with self._wakes:
            self._is_stale = True
            self._wakes.notify()

    def stop(self) -> None:
        """Save and end, as a closed window does."""
        with self._wakes:
            self._is_stopped = True
            self._wakes.notify()

    def run(self) -> None:
        """Play; the thread's own function."""
        try:
            while not (self._is_stopped or self._desk.session.finished):
                self._advance()
            if not self._desk.session.finished:
                self._desk.save_all()
            said = self._finish()
        except BaseException as error:
            self.error, said = error, f"The game has stopped: {error}"
        self._show({"type": "over", "text": said, "failed": self.error is not None})

    def _advance(self) -> None:
        desk = self._desk
        with self._wakes:
            if not (self._inbox or self._is_stale or self._is_stopped):
                self._wakes.wait(desk.session.seconds_to_next(time.perf_counter()))
            messages, is_stale = list(self._inbox), self._is_stale
            self._inbox.clear()
            self._is_stale = False
        now = time.perf_counter()
        for message in messages:
            if message is None:
                desk.let_go()
            else:
                desk.handle(message, now)
        self._present(desk.tick(now), again=is_stale)

    def _present(self, view: View, *, again: bool) -> None:
        desk, last = self._desk, self._last
        if again or desk.run != self._run:
            self._run = desk.run
            self._show(desk.describe_run())
        is_next_picture = last is None or view.frame is not last.frame
        if is_next_picture:
            self._number = desk.number
        head = desk.describe_view(view, self._number)
        if again or is_next_picture or head != self._head:
            sound = b"" if view.sound is None else view.sound.tobytes()
            picture = encode_png(view.frame) if again or is_next_picture else b""
            self._show(Frame(json.dumps(head, allow_nan=False).encode(), sound, picture))
        self._last, self._head = view, head


def encode_png(frame: npt.NDArray[np.uint8]) -> bytes:
    """A picture as a PNG file, exactly as it is.

    Args:
        frame: `(height, width, 3)`, RGB, `uint8`.
    """
    from PIL import Image  # noqa: PLC0415 - optional; the command asks for it

    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "PNG", compress_level=1)  # the fastest
    return stream.getvalue()
