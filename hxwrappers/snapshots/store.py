"""Stores of many snapshots of one run, each compressed against the first."""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import brief
from hxwrappers.errors import DemoError, SnapshotError

MAX_SNAPSHOT_BYTES = 1 << 26
_WINDOW = 1 << 15


def inflate(data: bytes, what: str, dictionary: bytes = b"") -> bytes:
    """Decompress an encoded snapshot.

    Args:
        data: A zlib stream.
        what: What to call it in an error.
        dictionary: The zlib dictionary that it was compressed with.

    Raises:
        SnapshotError: The stream is damaged, truncated or too large when unpacked.
    """
    inflater = zlib.decompressobj(zdict=dictionary)
    try:
        encoded = inflater.decompress(data, MAX_SNAPSHOT_BYTES)
    except zlib.error as error:
        raise SnapshotError(f"{what} is damaged ({brief(error)}).") from error
    if not inflater.eof or inflater.unused_data:
        raise SnapshotError(
            f"{what} is truncated, or larger than {MAX_SNAPSHOT_BYTES} bytes when unpacked."
        )
    return encoded


class SnapshotStore:
    """Encoded snapshots by step.

    What all snapshots of a run have in common (for ALE the generator's state, 6.7 of 7.7 kB) is
    stored once: the first snapshot, whose last 32 kB serve the others as zlib's dictionary. Each
    can be read alone.

    Args:
        steps: The number of actions taken before each snapshot, strictly increasing, `int64`.
        dictionary: What the others are compressed against.
        offsets: Where each compressed snapshot begins in `data`, and where the last one ends.
        data: The compressed snapshots.

    Raises:
        DemoError: The arrays do not fit together.

    Example:
        >>> log = SnapshotLog()
        >>> log.append(0, b"a" * 5000)
        >>> log.append(50, b"a" * 5000)
        >>> store = log.store()
        >>> len(store), len(store.data) < 100, store.get(1) == b"a" * 5000
        (2, True, True)
    """

    def __init__(
        self, steps: npt.ArrayLike, dictionary: bytes, offsets: npt.ArrayLike, data: bytes
    ) -> None:
        self.steps = np.asarray(steps, np.int64)
        self.dictionary = dictionary
        self.offsets = np.asarray(offsets, np.int64)
        self.data = data
        fits = (
            self.steps.ndim == 1
            and self.offsets.shape == (len(self.steps) + 1,)
            and self.offsets[0] == 0
            and self.offsets[-1] == len(data)
            and bool((np.diff(self.offsets) > 0).all())
            and bool((np.diff(self.steps) > 0).all())
            and bool((self.steps >= 0).all())
        )
        if not fits:
            raise DemoError(
                "The snapshots of the demonstration do not fit together: their steps must increase "
                "and their offsets must divide the data. The file is damaged."
            )

    @classmethod
    def empty(cls) -> SnapshotStore:
        """A store without snapshots."""
        return cls([], b"", [0], b"")

    def __len__(self) -> int:
        return len(self.steps)

    def get(self, index: int) -> bytes:
        """The encoded snapshot of an index.

        Raises:
            SnapshotError: The compressed data are damaged or too large when unpacked.
        """
        part = self.data[self.offsets[index] : self.offsets[index + 1]]
        return inflate(part, f"The snapshot at step {self.steps[index]}", self.dictionary)

    def last_at_or_before(self, step: int) -> int | None:
        """The index of the latest snapshot not after a step, or None."""
        index = int(np.searchsorted(self.steps, step, side="right")) - 1
        return index if index >= 0 else None

    def up_to(self, step: int) -> SnapshotStore:
        """The snapshots not after a step."""
        count = int(np.searchsorted(self.steps, step, side="right"))
        end = int(self.offsets[count])
        return SnapshotStore(
            self.steps[:count], self.dictionary, self.offsets[: count + 1], self.data[:end]
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SnapshotStore) and self._items() == other._items()

    def __hash__(self) -> int:
        return hash((self.steps.tobytes(), self.data))

    def _items(self) -> Sequence[object]:
        return (self.steps.tolist(), [self.get(index) for index in range(len(self))])


class SnapshotLog:
    """Encoded snapshots as they come, compressed at once; `store()` makes the store of them.

    Args:
        store: Snapshots to begin with.
    """

    def __init__(self, store: SnapshotStore | None = None) -> None:
        start = SnapshotStore.empty() if store is None else store
        self._dictionary = start.dictionary
        self._steps: list[int] = start.steps.tolist()
        self._parts = [start.data[begin:end] for begin, end in pairwise(start.offsets.tolist())]

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def last_step(self) -> int | None:
        """The step of the latest snapshot, or None."""
        return self._steps[-1] if self._steps else None

    def append(self, step: int, encoded: bytes) -> None:
        """Add a snapshot.

        Args:
            step: The number of actions taken before it, more than for the one before.
            encoded: The encoded snapshot.
        """
        if not self._steps:
            self._dictionary = encoded[-_WINDOW:]
        deflater = zlib.compressobj(level=9, zdict=self._dictionary)
        self._steps.append(step)
        self._parts.append(deflater.compress(encoded) + deflater.flush())

    def copy(self) -> SnapshotLog:
        """Another log of the same snapshots."""
        twin = SnapshotLog()
        twin._dictionary, twin._steps = self._dictionary, list(self._steps)
        twin._parts = list(self._parts)
        return twin

    def cut(self, step: int) -> None:
        """Forget the snapshots after a step."""
        count = bisect.bisect_right(self._steps, step)
        del self._steps[count:], self._parts[count:]

    def store(self) -> SnapshotStore:
        """All snapshots up to now."""
        lengths = [len(part) for part in self._parts]
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return SnapshotStore(self._steps, self._dictionary, offsets, b"".join(self._parts))
