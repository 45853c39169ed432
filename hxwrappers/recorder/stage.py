"""The game in its own thread, with the pictures and messages that wait for clients."""

from __future__ import annotations

import io
import json
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.recorder.control import Message, SessionControl
from hxwrappers.recorder.timeline import View

_HEAD = struct.Struct("<II")
_MOST_SOUND = 1 << 13


@dataclass(frozen=True)
class Frame:
    """A picture with what was heard.

    Attributes:
        head: What there is to say of it, as JSON.
        sound: Mono samples, a byte each.
        picture: A PNG; empty where the picture is the one before.
    """

    head: bytes
    sound: bytes
    picture: bytes

    def packed(self) -> bytes:
        """As one binary message.

        Returns:
            The lengths of head and sound (`uint32`, little-endian), both, and the picture.
        """
        return _HEAD.pack(len(self.head), len(self.sound)) + self.head + self.sound + self.picture


class Outbox:
    """Keeps the latest message of each type and the latest frame.

    A client that cannot keep up misses frames, never the present state; of the sound it misses
    what is older than a quarter of a second.

    Example:
        >>> outbox = Outbox()
        >>> outbox.put_frame(Frame(b"{}", b"", b"one"))
        >>> outbox.put_frame(Frame(b"{}", b"", b""))
        >>> outbox.take()[8:], outbox.take()
        (b'{}one', None)
    """

    def __init__(self) -> None:
        self._texts: dict[str, dict[str, Any]] = {}
        self._frame: Frame | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return not self._texts and self._frame is None

    def put(self, message: dict[str, Any]) -> None:
        """Add a message; an unsent one of its type is replaced."""
        self._texts.pop(message["type"], None)
        self._texts[message["type"]] = message

    def put_frame(self, frame: Frame) -> None:
        """Add a frame; an unsent one is replaced."""
        before = self._frame
        if before is not None:
            sound = (before.sound + frame.sound)[-_MOST_SOUND:]
            frame = Frame(frame.head, sound, frame.picture or before.picture)
        self._frame = frame

    def take(self) -> str | bytes | None:
        """The next thing to send, or None."""
        if self._texts:
            return json.dumps(self._texts.pop(next(iter(self._texts))), allow_nan=False)
        frame, self._frame = self._frame, None
        return None if frame is None else frame.packed()


_MOST_WAITING = 256


class GameThread(threading.Thread):
    """Plays a session until it is finished.

    Everything but the methods here runs in the thread.

    Args:
        control: What is played.
        show: Called with each message for all clients, and with each frame.
        finish: Called at the end; gives a sentence about how it ended, for all clients.

    Attributes:
        error: What ended the game before its time, or None.
    """

    def __init__(
        self,
        control: SessionControl,
        show: Callable[[dict[str, Any] | Frame], object],
        finish: Callable[[], str],
    ) -> None:
        super().__init__(name="stage", daemon=True)
        self.error: BaseException | None = None
        self._control = control
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
            while not (self._is_stopped or self._control.session.finished):
                self._advance()
            if not self._control.session.finished:
                self._control.save_all()
            said = self._finish()
        except BaseException as error:
            self.error, said = error, f"The game has stopped: {error}"
        self._show({"type": "over", "text": said, "failed": self.error is not None})

    def _advance(self) -> None:
        control = self._control
        with self._wakes:
            if not (self._inbox or self._is_stale or self._is_stopped):
                self._wakes.wait(control.session.seconds_to_next(time.perf_counter()))
            messages, is_stale = list(self._inbox), self._is_stale
            self._inbox.clear()
            self._is_stale = False
        now = time.perf_counter()
        for message in messages:
            if message is None:
                control.release_all()
            else:
                control.handle(message, now)
        self._present(control.tick(now), again=is_stale)

    def _present(self, view: View, *, again: bool) -> None:
        control, last = self._control, self._last
        if again or control.run != self._run:
            self._run = control.run
            self._show(control.describe_run())
        is_next_picture = last is None or view.frame is not last.frame
        if is_next_picture:
            self._number = control.number
        head = control.describe_view(view, self._number)
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
