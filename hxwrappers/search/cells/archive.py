"""The archive: cells, the best trajectory to each, and the draw of the next one."""

from __future__ import annotations

import pickle
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Node:
    """The end of a trajectory: the node it goes on from, and the actions since then.

    What two trajectories have in common is stored once, and a node that neither a cell nor a later
    node refers to any more is freed, so that memory grows with the archive and not with the search.

    Args:
        parent: The node before, or None for the reset.
        actions: The actions since then, packed (see `Actions.pack`).

    Example:
        >>> start = Node(None, b"")
        >>> left = Node(start, b"33")
        >>> Node(left, b"1").trajectory()
        b'331'
    """

    __slots__ = ("actions", "parent")

    def __init__(self, parent: Node | None, actions: bytes) -> None:
        self.parent = parent
        self.actions = actions

    def trajectory(self) -> bytes:
        """All actions from the reset to here, packed."""
        parts = []
        node: Node | None = self
        while node is not None:
            parts.append(node.actions)
            node = node.parent
        return b"".join(reversed(parts))


class Start(NamedTuple):
    """A state to explore from.

    Attributes:
        score: The return on the way to it.
        length: The environment's steps on the way to it.
        lives: The lives left, or None.
        snapshot: The packed state, or None where it must be made again by the actions.
        actions: All actions from the reset, packed; empty where there is a snapshot.
        seed: Seed of the random actions.
    """

    score: float
    length: int
    lives: int | None
    snapshot: Any
    actions: bytes
    seed: int


_OVERHEAD, _PLAIN_CELL = 600, 100
"""Bytes of an entry's Python objects, and of a cell that is no bytes: what a million take here."""

Cell = Hashable
"""What tells one cell from another: None, a number, a string, bytes, or a tuple of these."""


@dataclass(slots=True)
class Entry:
    """The best way known to a cell.

    Attributes:
        score: The return on the way.
        length: The environment's steps on the way.
        lives: The lives left there, or None where the environment has none.
        node: The end of the trajectory.
        snapshot: The frozen state, packed; None where it must be made again from the trajectory.
        picture: The frame there, where cells adapt and it is needed to find the cell again.
    """

    score: float
    length: int
    lives: int | None
    node: Node
    snapshot: Any
    picture: bytes | None = None

    def start(self, seed: int) -> Start:
        """The state as one to explore from, with the seed of the random actions."""
        actions = b"" if self.snapshot else self.node.trajectory()
        return Start(self.score, self.length, self.lives, self.snapshot, actions, seed)


def is_better(score: float, length: int, than_score: float, than_length: int) -> bool:
    """Whether one way is better than another: a higher score, or the same in fewer steps.

    Example:
        >>> is_better(100, 900, 0, 20), is_better(0, 19, 0, 20), is_better(0, 20, 0, 20)
        (True, True, False)
    """
    return score > than_score or (score == than_score and length < than_length)


class Archive:
    """Cells with the best way known to each, and how often each was visited.

    Cells are numbered in the order in which they are found.

    Attributes:
        cells: The cells by number.
        entries: The best way to each, by number.

    Example:
        >>> archive = Archive()
        >>> start = Node(None, b"")
        >>> archive.offer("start", Entry(0.0, 0, None, start, b""))
        True
        >>> archive.offer("start", Entry(0.0, 4, None, start, b""))
        False
    """

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.entries: list[Entry] = []
        self._numbers: dict[Cell, int] = {}
        self._visits = np.zeros(64, np.int64)
        self._size, self._size_of_object = 0, 0

    @classmethod
    def restored(
        cls,
        cells: list[Cell],
        entries: list[Entry],
        visits: npt.NDArray[np.int64],
    ) -> Archive:
        """An archive put together from its parts.

        Args:
            cells: The cells by number.
            entries: The best way to each.
            visits: How often each was visited.

        Raises:
            ValueError: There are not as many of the one as of the other, or a cell comes twice.
        """
        archive = cls()
        for cell, entry in zip(cells, entries, strict=True):
            if cell in archive:
                raise ValueError(f"the cell {cell!r} comes twice")
            archive._add(cell, entry)
        archive.visits[:] = visits
        return archive

    def __len__(self) -> int:
        return len(self.cells)

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._numbers

    @property
    def visits(self) -> npt.NDArray[np.int64]:
        """How often each cell was visited, by number."""
        return self._visits[: len(self)]

    def get(self, cell: Cell) -> Entry | None:
        """The best way known to a cell, or None."""
        number = self._numbers.get(cell)
        return None if number is None else self.entries[number]

    def offer(self, cell: Cell, entry: Entry) -> bool:
        """Keep a way to a cell if the cell is new or the way better than the one known.

        Returns:
            Whether it was kept.
        """
        number = self._numbers.get(cell)
        if number is None:
            self._add(cell, entry)
            return True
        known = self.entries[number]
        if not is_better(entry.score, entry.length, known.score, known.length):
            return False
        self._size += self._size_of(cell, entry) - self._size_of(cell, known)
        self.entries[number] = entry
        return True

    def visit(self, cells: Iterable[Cell], times: int = 1) -> None:
        """Count visits of each cell; what is not in the archive is passed over."""
        for cell in cells:
            number = self._numbers.get(cell)
            if number is not None:
                self._visits[number] += times

    @property
    def size(self) -> int:
        """About how many bytes the cells and their states take."""
        return self._size

    def drop(self, size: int) -> list[Cell]:
        """Drop the least promising cells until the others take no more than some bytes.

        Those visited most often are the least promising; of those visited equally often, those with
        the lowest score. The first cell, with which every way begins, stays.

        Args:
            size: Bytes.

        Returns:
            The cells that were dropped.
        """
        visits = self._visits
        order = sorted(
            range(1, len(self)), key=lambda number: (-visits[number], self.entries[number].score)
        )
        gone: set[int] = set()
        for number in order:
            if self._size <= size:
                break
            gone.add(number)
            self._size -= self._size_of(self.cells[number], self.entries[number])
        dropped = [self.cells[number] for number in sorted(gone)]
        kept = [number for number in range(len(self)) if number not in gone]
        self._visits = visits[kept]
        self.cells = [self.cells[number] for number in kept]
        self.entries = [self.entries[number] for number in kept]
        self._numbers = {cell: number for number, cell in enumerate(self.cells)}
        return dropped

    def _add(self, cell: Cell, entry: Entry) -> None:
        number = self._numbers[cell] = len(self.cells)
        self.cells.append(cell)
        self.entries.append(entry)
        self._size += self._size_of(cell, entry)
        if number == len(self._visits):
            self._visits = np.concatenate([self._visits, np.zeros_like(self._visits)])

    def _size_of(self, cell: Cell, entry: Entry) -> int:
        """About how many bytes an entry takes, with the cell and the end of the trajectory."""
        size = _OVERHEAD + len(entry.picture or b"")
        size += len(cell) if isinstance(cell, bytes) else _PLAIN_CELL
        if entry.snapshot is None or isinstance(entry.snapshot, bytes):
            return size + len(entry.snapshot or b"") + len(entry.node.actions)
        if not self._size_of_object:  # objects of one environment are about alike, and slow to size
            self._size_of_object = len(pickle.dumps(entry.snapshot))
        return size + self._size_of_object


def visit_weights(visits: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Weights that fall with the visits: `1 / (visits + 1)`.

    Like go-explore's weights without knowledge of the game (Ecoffet et al. 2021, Methods), but
    steeper than their `1 / sqrt(visits + 1)`: searches here are of minutes and not of days, and so
    must hurry to the newest cells. After a million frames of Montezuma's Revenge this had found 18
    rooms, the square root 10 (same seed and cells). A visit is an exploration that begins in the
    cell or comes through it.

    Args:
        visits: How often each cell was visited.

    Example:
        >>> visit_weights(np.array([0, 1, 99])).tolist()
        [1.0, 0.5, 0.01]
    """
    weights: npt.NDArray[np.float64] = np.reciprocal(visits + 1.0, dtype=np.float64)
    return weights


def draw(
    weights: npt.NDArray[np.float64], count: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw indices with probabilities in proportion to their weights, with replacement.

    Args:
        weights: Positive weights.
        count: How many to draw.
        generator: Where the random numbers come from.

    Example:
        >>> draw(np.array([0.0, 2.0, 0.0]), 3, np.random.default_rng(0)).tolist()
        [1, 1, 1]
    """
    sums = np.cumsum(weights)
    drawn = np.searchsorted(sums, generator.random(count) * sums[-1], side="right")
    within: npt.NDArray[np.int64] = np.minimum(drawn, len(weights) - 1)
    return within
