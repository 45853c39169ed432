"""What is still to be sent to one client, however slow: the latest of each kind."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

__all__ = ["Frame", "Outbox"]

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
