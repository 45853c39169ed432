"""The adaptation of frame cells, and the archive that is built anew then."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from hxwrappers.search.cells.adaptive_cells import AdaptiveFrameCells, FrameSize, choose_size
from hxwrappers.search.cells.archive import Archive, Cell
from hxwrappers.search.cells.cells import CellSettings
from hxwrappers.search.cells.state import pack, unpack

_FIRST = 256
_SAMPLE = 400


class Adaptation:
    """Chooses the size of frame cells from what was seen lately.

    It does so after 256 explorations and whenever their number has doubled since, from the frames
    in which the last 400 of them ended.

    Args:
        settings: Which cells; those of another kind than `"adaptive"` do not adapt.
    """

    def __init__(self, settings: CellSettings) -> None:
        self._cells = (
            AdaptiveFrameCells(FrameSize(settings.width, settings.height, settings.depth))
            if settings.kind == "adaptive"
            else None
        )
        self._sample: deque[bytes] = deque(maxlen=_SAMPLE)
        self._due = _FIRST

    @property
    def size(self) -> FrameSize | None:
        """The size now; None where cells do not adapt."""
        return None if self._cells is None else self._cells.size

    def see(self, picture: bytes | None) -> None:
        """Take note of a frame."""
        if picture is not None:
            self._sample.append(picture)

    def cell(self, cell: Cell, picture: bytes | None) -> Cell:
        """The cell as it is now of one that may have been found while the size was another."""
        if self._cells is None or picture is None:
            return cell
        return self._cells.of(picture)

    def adapt(
        self, archive: Archive, explorations: int, generator: np.random.Generator
    ) -> Archive | None:
        """Choose another size if it is time.

        Args:
            archive: The archive as it is.
            explorations: How many explorations there were so far.
            generator: Draws the sizes that are tried.

        Returns:
            The archive with cells of the new size; None where all stays as it is.
        """
        if self._cells is None or explorations < self._due or len(self._sample) < 2:
            return None
        self._due = 2 * explorations
        size = choose_size(self._sample, generator)
        if size == self._cells.size:
            return None
        self._cells.resize(size)
        rebuilt = Archive()
        for entry, visits in zip(archive.entries, archive.visits.tolist(), strict=True):
            assert entry.picture is not None, "every entry has one where cells adapt"
            cell = self._cells.of(entry.picture)
            rebuilt.offer(cell, entry)
            rebuilt.visit([cell], visits)
        return rebuilt

    def state_dict(self) -> dict[str, Any]:
        """The size, what was seen, and when the next choice is due."""
        return {
            "size": None if self.size is None else list(self.size),
            "sample": pack(self._sample),
            "due": self._due,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become what `state_dict` gave.

        Raises:
            ValueError: It is of cells of another kind.
        """
        if (state["size"] is None) != (self._cells is None):
            raise ValueError("a size of cells of another kind")
        if self._cells is not None:
            self._cells.resize(FrameSize(*map(int, state["size"])))
        self._sample = deque(unpack(state["sample"]), _SAMPLE)
        self._due = int(state["due"])
