"""File locks: one process at a time, until it lets go or ends, killed or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

_POLL = 0.0005  # seconds


@contextmanager
def file_lock(path: Path, patience: float = 0.0, *, remove: bool = False) -> Iterator[None]:
    """Hold a lock; on a disk that knows no locks nothing is held.

    Args:
        path: The file that is locked. It is made if it is not there, and left there.
        patience: How many seconds to wait for whoever holds it.
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
    held = acquire_lock(lock, patience)
    while held and not path.exists():
        lock.release()  # its last holder has removed it
        held = acquire_lock(lock, patience)
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
