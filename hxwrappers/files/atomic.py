"""Atomic writes of files and folders, files that grow by whole records, and locks."""

from __future__ import annotations

import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from hxwrappers._utils.checks import brief
from hxwrappers.errors import FileWriteError, FileWriteWarning

_POLL = 0.0005  # seconds


@contextmanager
def file_lock(path: Path, *, remove: bool = False) -> Iterator[None]:
    """Hold a lock; on a disk that knows no locks nothing is held.

    Args:
        path: The file that is locked. It is made if it is not there, and left there.
        remove: Remove the file at the end.

    Raises:
        TimeoutError: Another process, or another part of this one, holds it.
        OSError: The file cannot be made.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lock"
        >>> with file_lock(path), file_lock(path):
        ...     pass
        Traceback (most recent call last):
        ...
        filelock...Timeout: The file lock ... could not be acquired.
    """
    lock = FileLock(path)
    held = acquire_lock(lock, 0.0)
    while held and not path.exists():
        lock.release()  # its last holder has removed it
        held = acquire_lock(lock, 0.0)
    try:
        yield
    finally:
        # Elsewhere than on Windows one who waits must not get what is about to go.
        if remove and os.name != "nt":
            path.unlink(missing_ok=True)
        lock.release()
        if remove and os.name == "nt":  # where open files cannot be removed
            with suppress(OSError):
                path.unlink()


@contextmanager
def exclusive_lock(lock: Path, refusal: Exception, *, remove: bool = False) -> Iterator[None]:
    """Hold a lock that ends with the process at the latest.

    Args:
        lock: The file that is locked; see `file_lock`.
        refusal: What is raised where somebody else holds it.
        remove: See `file_lock`.

    Raises:
        Exception: `refusal`: it is held already.
        FileWriteError: The file cannot be made.
    """
    with ExitStack() as stack:
        with writing(lock):
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(file_lock(lock, remove=remove))
            except TimeoutError as error:
                raise refusal from error
        yield


def acquire_lock(lock: FileLock, patience: float) -> bool:
    """Acquire a lock that is kept for many times, which is faster than a new one each time.

    Args:
        lock: The lock.
        patience: How many seconds to wait for whoever holds it.

    Returns:
        Whether it is held; not on a disk that knows no locks.

    Raises:
        TimeoutError: Another process holds it.
        OSError: Its file cannot be made.
    """
    try:
        lock.acquire(timeout=patience, poll_interval=_POLL)
    except TimeoutError:
        raise
    except OSError:
        Path(lock.lock_file).open("ab").close()  # where this fails too there is more amiss
        return False
    return True


_MARK, _LOCK = ".hxw-", ".lock"


def atomic_write(
    path: str | os.PathLike[str],
    write: Callable[[Path], object],
    *,
    previous: str | os.PathLike[str] | None = None,
) -> None:
    """Write a file so that a crash leaves either the old file or the new one, never half of one.

    What writers that were killed have left half-written in the folder is removed.

    Args:
        path: Where the file shall be; missing folders are made.
        write: Called with the path of a temporary file in the same folder, which it fills.
        previous: The name in the same folder under which the old file is kept; it is not kept
            where None.

    Raises:
        FileWriteError: The folder cannot be written to or the disk is full; an old file stays as
            it was. Or the path is that of a folder.
    """
    target = Path(path)
    with writing(target):
        _check_file(target)
        with temporary_file(target) as temporary:
            write(temporary)
            _to_disk(temporary)
            if previous is not None:
                _link(target, Path(previous))
            temporary.replace(target)
        _to_disk(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before long work whether its result can be written.

    Args:
        path: Where the file shall be; missing folders are made.

    Raises:
        FileWriteError: It cannot be written, as far as can be told now.
    """
    target = Path(path)
    with writing(target):
        _check_file(target)
        with temporary_file(target) as temporary:
            temporary.unlink()


@contextmanager
def new_folder(path: str | os.PathLike[str], files: Collection[str]) -> Iterator[Path]:
    """Fill a folder so that a crash leaves either the old one or the new one.

    (Or none, in the moment between the two renames that put one in the place of another.)

    Args:
        path: Where the folder shall be; one that is there is replaced if it is empty or holds
            these files and nothing else.
        files: The names of the files that it is filled with.

    Yields:
        A temporary folder beside it, which becomes the folder unless an error is raised.

    Raises:
        FileWriteError: The place cannot be written to, the disk is full, or something else is
            there; the last is said before anything is yielded.
    """
    target = Path(path)
    with writing(target):
        _check_replaceable(target, files)
        with _temporary(target, Path.mkdir) as temporary:
            yield temporary
            for file in temporary.iterdir():
                _to_disk(file)
            try:
                temporary.replace(target)
            except OSError:
                if not target.is_dir():
                    raise
                # There is one already, perhaps since another process was faster.
                _check_replaceable(target, files)
                with _temporary(target, Path.mkdir) as old:
                    target.replace(old)
                    temporary.replace(target)
                    shutil.rmtree(old, ignore_errors=True)
        _to_disk(target.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong on a disk into the one error that says so.

    Args:
        path: What is written.

    Raises:
        FileWriteError: It cannot be.
    """
    try:
        yield
    except FileWriteError:
        raise
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__  # torch hides it behind an error in C++
        if cause is None:
            raise
        raise FileWriteError(
            f"{path} could not be written ({cause.strerror or brief(cause)}); an older file of "
            "this name is as it was. Make room or choose a place that can be written to, then try "
            "again."
        ) from error


def try_to_save(save: Callable[[], object]) -> bool:
    """Save in the midst of long work, which goes on where there is no room now.

    Args:
        save: Saves it.

    Returns:
        Whether it did. Otherwise there is a `FileWriteWarning`.
    """
    try:
        save()
    except FileWriteError as error:
        warnings.warn(
            f"{error} The run goes on, and saves again when the next checkpoint is due.",
            FileWriteWarning,
            stacklevel=2,
        )
        return False
    return True


def temporary_file(target: Path) -> AbstractContextManager[Path]:
    """A temporary file in the folder of another, removed on an error, and where its writer died."""
    return _temporary(target, Path.touch)


@contextmanager
def _temporary(target: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """A temporary file or folder; a lock beside it is held as long as its writer lives."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target.parent)
    path = _temporary_name(target)
    with file_lock(_lock_of(path), remove=True):
        make(path)
        try:
            yield path
        except BaseException:
            _remove(path)
            raise


def _check_file(target: Path) -> None:
    if target.is_dir():
        raise FileWriteError(
            f"{target} is a folder, where a file is to be written. Give the name of a file, for "
            "example one in it."
        )


def _check_replaceable(target: Path, files: Collection[str]) -> None:
    """Refuse to put a folder in the place of what it is not a new version of."""
    if not target.exists():
        return
    what = "is a file"
    if target.is_dir():
        found = {file.name for file in target.iterdir()}
        if found in (set(), set(files)):
            return
        what = f"is a folder that holds {brief(_list(found), 100)}"
    raise FileWriteError(
        f"{target} {what}. Only an empty folder, or one of just {_list(files)}, is replaced. "
        "Give the name of a new folder, or remove what is there."
    )


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _temporary_name(target: Path) -> Path:
    return target.with_name(f".{target.name}{_MARK}{secrets.token_hex(6)}{target.suffix}")


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + _LOCK)


def _clear(folder: Path) -> None:
    """Remove what is locked by nobody: its writer was killed."""
    for name in {path.name.removesuffix(_LOCK) for path in folder.glob(f".*{_MARK}*")}:
        path = folder / name
        with suppress(OSError), file_lock(_lock_of(path), remove=True):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _link(target: Path, name: Path) -> None:
    """Give a file a second name, under which it stays when it is replaced."""
    with suppress(OSError):  # there is none yet, or the disk knows no second names
        new = _temporary_name(name)
        new.hardlink_to(target)
        new.replace(name)


def _to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
