"""Files that only grow, by whole records, and outlast a disk that is full for a while."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path

from hxwrappers._files import writing
from hxwrappers._text import brief
from hxwrappers.errors import FileWriteWarning

__all__ = ["AppendFile"]


class AppendFile:
    """Appends records, each whole; those that find no room wait in memory and keep their order.

    A record that was appended is with the operating system and survives the end of the process.

    Args:
        path: The file; it is made if it is not there.
        end: Where to go on; what is behind is cut off.

    Attributes:
        path: The file.

    Raises:
        FileWriteError: The file cannot be opened for writing.

    Example:
        >>> import tempfile
        >>> file = AppendFile(Path(tempfile.mkdtemp()) / "records")
        >>> file.append(b"one")
        >>> file.append(b"two")
        >>> file.path.read_bytes(), file.waits
        (b'onetwo', False)
        >>> file.close()
    """

    def __init__(self, path: Path, end: int = 0) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self._file = path.open("r+b", buffering=0)
            self._file.truncate(end)
        self._end = end
        self._waiting = b""
        self._warned = False

    @property
    def waits(self) -> bool:
        """Whether there is something for which there was no room yet."""
        return bool(self._waiting)

    def append(self, record: bytes) -> None:
        """Append a record, and those before it that wait."""
        self._waiting += record
        try:
            self._write()
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._end)  # readers find no half of a record
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"{self.path} cannot be written to now ({error.strerror or brief(error)}). "
                    "What should go there is kept in memory and written once there is room.",
                    FileWriteWarning,
                    stacklevel=3,
                )

    def close(self) -> None:
        """Close the file, after a last attempt to write what waits."""
        if self._waiting and not self._file.closed:
            self.append(b"")
        self._file.close()

    def _write(self) -> None:
        written = 0
        while written < len(self._waiting):  # a disk that fills up takes a part at first
            self._file.seek(self._end + written)
            written += self._file.write(self._waiting[written:])
        self._end += written
        self._waiting, self._warned = b"", False
