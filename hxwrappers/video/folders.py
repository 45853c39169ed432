"""Folders that are there whole or not at all, and arrays of unknown length on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

__all__ = ["ArrayFile", "new_folder"]


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a folder so that a crash leaves either the old one or the new one.

    Args:
        path: Where the folder shall be; one that is there is replaced.

    Yields:
        A temporary folder beside it, which becomes the folder unless an error is raised.

    Raises:
        OSError: The place cannot be written to or the disk is full.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)  # mkdtemp makes folders that only their owner can read
        try:
            temporary.replace(target)
        except OSError:
            if not target.is_dir():
                raise
            # There is one already, perhaps since another process was faster.
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
            target.replace(old)
            temporary.replace(target)
            shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


class ArrayFile:
    """Writes a `.npy` file piece by piece, without knowing how long it will be.

    Args:
        path: The file.
        dtype: Dtype of the array.
        shape: Shape of one item; the array is `(items, *shape)`.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "numbers.npy"
        >>> with ArrayFile(path, np.int16, ()) as file:
        ...     file.append(np.arange(3))
        ...     file.append(np.arange(2))
        >>> np.load(path).tolist()
        [0, 1, 2, 0, 1]
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype)
        self._shape = shape
        self._file = path.open("wb")
        self.items = 0
        self._start = self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._file.seek(0)
                # NumPy leaves room in a header for a first axis of any length.
                assert self._write_header() == self._start
        finally:
            self._file.close()

    def append(self, items: npt.NDArray[Any]) -> None:
        """Write some more items, `(number, *shape)`."""
        assert items.shape[1:] == self._shape
        self._file.write(np.ascontiguousarray(items, self._dtype).tobytes())
        self.items += len(items)

    def _write_header(self) -> int:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.items, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
        return self._file.tell()
