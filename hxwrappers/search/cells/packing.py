"""Snapshots in little room, in a form that can go between processes and, where safe, to a file."""

from __future__ import annotations

import zlib
from typing import Any

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots import Snapshot, Snapshotter

_WINDOW = 1 << 15
_MAX_BYTES = 1 << 26


class SnapshotPacker:
    """Packs an environment's snapshots, compressed against one of them.

    Snapshots of families that can be kept in files become bytes, a few hundred for an Atari game.
    The others stay as they are.

    Args:
        snapshotter: What makes the snapshots and restores them.
        reference: What to compress against: the first snapshot encoded. The same for all who
            exchange packed snapshots. Taken from the environment as it is now unless given.
    """

    def __init__(self, snapshotter: Snapshotter, reference: bytes | None = None) -> None:
        self._snapshotter = snapshotter
        if reference is None and snapshotter.persistent:
            reference = snapshotter.encode(snapshotter.snapshot())
        self.reference = reference or b""
        self._dictionary = self.reference[-_WINDOW:]

    def pack(self) -> Any:
        """The environment's state as it is now."""
        snapshot = self._snapshotter.snapshot()
        if not self._snapshotter.persistent:
            return snapshot
        deflater = zlib.compressobj(level=1, zdict=self._dictionary)
        return deflater.compress(self._snapshotter.encode(snapshot)) + deflater.flush()

    def restore(self, packed: Any) -> None:
        """Bring the environment to a packed state.

        Raises:
            SnapshotError: The bytes are no packed snapshot of this environment.
        """
        self._snapshotter.restore(packed if isinstance(packed, Snapshot) else self._unpack(packed))

    def _unpack(self, packed: bytes) -> Snapshot:
        inflater = zlib.decompressobj(zdict=self._dictionary)
        try:
            encoded = inflater.decompress(packed, _MAX_BYTES)
        except zlib.error as error:
            raise SnapshotError(f"A packed snapshot is damaged ({error}).") from error
        return self._snapshotter.decode(encoded)
