"""Arrays of unknown length on disk."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

__all__ = ["ArrayFile"]


class ArrayFile:
    """Writes a `.npy` file piece by piece, without knowing how long it will be.

    Args:
        path: The file.
        dtype: Dtype of the array.
        shape: Shape of one item; the array is `(items, *shape)`.

    Example:
        >>> import tempfile
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
