"""Stores of a success table: one process, or a file that processes map.

Between machines it lives in a Ray actor: see `hxwrappers.curriculum.ray_store`.
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from hxwrappers.curriculum.success_table import FrontierSettings, StartingPoint, SuccessTable
from hxwrappers.errors import DemoError
from hxwrappers.files.atomic import acquire_lock, temporary_file, writing

_MAGIC = b"hxwrappers-tracker-2\n"
_HEADER_BYTES = 4096
_PATIENCE = 10.0  # seconds
_Result = TypeVar("_Result")


class TrackerStore(Protocol):
    """What a `SuccessTracker` needs of the place where its table lives."""

    def attach(
        self, latest: Sequence[int], digests: Sequence[str], settings: FrontierSettings | None
    ) -> FrontierSettings:
        """Make the table, or find the one that is there, and say what settings it has."""

    def count(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        """Count an episode."""

    def look(self, read: Callable[[SuccessTable], _Result]) -> _Result:
        """Read something from the table, without waiting for anybody."""

    def replace(self, words: npt.NDArray[np.uint64]) -> None:
        """Put another table's words in the place of these."""


class LocalStore:
    """A table in this process alone; a copy that is pickled goes its own way."""

    def __init__(self) -> None:
        self._table: SuccessTable | None = None
        self._digests: list[str] = []

    def attach(
        self, latest: Sequence[int], digests: Sequence[str], settings: FrontierSettings | None
    ) -> FrontierSettings:
        """Make the table, unless there is one, and check that it fits."""
        if self._table is None:
            words = np.zeros(SuccessTable.size(latest), np.uint64)
            self._table = SuccessTable(words, latest, settings or FrontierSettings())
            self._table.start()
            self._digests = list(digests)
        check_fit("The store", self._digests, digests, self._table.settings, settings)
        return self._table.settings

    def count(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        """Count an episode."""
        self._attached().count(start, success=success, steps=steps)

    def look(self, read: Callable[[SuccessTable], _Result]) -> _Result:
        """Read something from the table."""
        return read(self._attached())

    def replace(self, words: npt.NDArray[np.uint64]) -> None:
        """Put another table's words in the place of these."""
        self._attached().words[:] = words

    def _attached(self) -> SuccessTable:
        assert self._table is not None
        return self._table


class FileStore:
    """A table in a file that every process on this machine maps into its memory.

    Processes need no common ancestor and may be spawned, forked or started by hand: the path is
    all that they share, and all that is pickled. Readers wait for nobody. Writers take a lock
    that the system itself gives back when a process dies, killed or not. The file outlives all of
    them, so that a run can go on with it. It must lie on a disk of this machine.

    Args:
        path: The file; None makes one in the folder for temporary files, which goes away with the
            process that made it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if path is None:
            path = Path(tempfile.mkdtemp(prefix="hxwrappers-")) / "tracker"
            weakref.finalize(self, _remove, Path(path), os.getpid())
        self.path = Path(path).absolute()
        self._table: SuccessTable | None = None
        self._lock_owner = -1
        self._threads = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        if self.path.exists():
            self._open()

    def attach(
        self, latest: Sequence[int], digests: Sequence[str], settings: FrontierSettings | None
    ) -> FrontierSettings:
        """Make the file, or open the one that is there and check that it fits."""
        if not self.path.exists():
            self._create(latest, digests, settings or FrontierSettings())
        header, table = self._open()
        check_fit(str(self.path), header["digests"], digests, table.settings, settings)
        return table.settings

    def count(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        """Count an episode, once no other process is counting one.

        Raises:
            DemoError: Another process has held the lock for ten seconds: it is stopped.
        """
        table = self._attached()
        with self._threads, self._locked():
            table.count(start, success=success, steps=steps)

    def look(self, read: Callable[[SuccessTable], _Result]) -> _Result:
        """Read something from the table, without waiting for anybody."""
        return read(self._attached())

    def replace(self, words: npt.NDArray[np.uint64]) -> None:
        """Put another table's words in the place of these."""
        table = self._attached()
        with self._threads, self._locked():
            table.words[:] = words

    def _create(
        self, latest: Sequence[int], digests: Sequence[str], settings: FrontierSettings
    ) -> None:
        words = np.zeros(SuccessTable.size(latest), np.uint64)
        SuccessTable(words, latest, settings).start()
        header = {"latest": list(latest), "digests": list(digests), "settings": vars(settings)}
        text = _MAGIC + json.dumps(header).encode()
        if len(text) >= _HEADER_BYTES:
            raise DemoError(f"{len(latest)} demonstrations are too many for one table.")
        with writing(self.path), temporary_file(self.path) as temporary:
            temporary.write_bytes(text.ljust(_HEADER_BYTES, b"\0") + words.tobytes())
            with suppress(FileExistsError):
                # Linked rather than renamed: of several that make it, the first one wins.
                self.path.hardlink_to(temporary)
            temporary.unlink()

    def _open(self) -> tuple[dict[str, Any], SuccessTable]:
        with self.path.open("r+b") as file:
            start = file.read(_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
            header, settings = self._header(start)
            if size != _HEADER_BYTES + 8 * SuccessTable.size(header["latest"]):
                raise DemoError(f"{self.path} is truncated or damaged; delete it.")
            memory = mmap.mmap(file.fileno(), size)
        words = np.frombuffer(memory, np.uint64, offset=_HEADER_BYTES)
        table = SuccessTable(words, header["latest"], settings)
        if not ((table.frontiers >= 0) & (table.frontiers <= table.latest)).all():
            raise DemoError(f"{self.path} is damaged: a frontier lies outside; delete it.")
        self._table = table
        return header, table

    def _header(self, start: bytes) -> tuple[dict[str, Any], FrontierSettings]:
        problem = DemoError(
            f"{self.path} is no success table of hxwrappers, damaged, or of another version."
        )
        if not start.startswith(_MAGIC):
            raise problem
        try:
            header = json.loads(start[len(_MAGIC) :].rstrip(b"\0"))
            settings = FrontierSettings(**header["settings"])
            latest, digests = header["latest"], header["digests"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise problem from error
        right = isinstance(latest, list) and isinstance(digests, list) and bool(latest)
        if not right or not all(type(last) is int and 0 <= last < 2**40 for last in latest):
            raise problem
        return header, settings

    def _attached(self) -> SuccessTable:
        if self._table is None:
            raise DemoError(
                f"The success table {self.path} is not there. One without a path goes away with "
                "the tracker that made it: keep that as long as others use its table, or give it a "
                "path."
            )
        return self._table

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._lock_owner != os.getpid():  # a forked process needs a lock of its own
            self._lock, self._lock_owner = FileLock(_lock_of(self.path)), os.getpid()
        with writing(self.path):
            try:
                acquire_lock(self._lock, _PATIENCE)
            except TimeoutError as error:
                raise DemoError(
                    f"The success table {self.path} has been locked by another process for "
                    f"{_PATIENCE:.0f} seconds. That process is stopped: end it, or let it go on."
                ) from error
        try:
            yield
        finally:
            self._lock.release()


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def check_fit(
    what: str,
    found: Sequence[str],
    digests: Sequence[str],
    settings: FrontierSettings,
    given: FrontierSettings | None,
) -> None:
    """Refuse a store's table that is of other demonstrations, or was made with other settings.

    Raises:
        DemoError: It is.
    """
    if list(found) != list(digests):
        raise DemoError(
            f"{what} holds the table of other demonstrations ({', '.join(map(str, found))}) than "
            f"these ({', '.join(digests)}). Give another one, or delete it."
        )
    if given not in (None, settings):
        raise DemoError(
            f"{what} holds a table made with {settings}, but {given} was given. Give the same, "
            "leave them out to go on with these, or delete it."
        )


def _remove(path: Path, owner: int) -> None:
    if os.getpid() != owner:
        return  # a forked child leaves its parent's file alone
    with suppress(OSError):  # on Windows, while another process has it open
        path.unlink(missing_ok=True)
        _lock_of(path).unlink(missing_ok=True)
        path.parent.rmdir()
