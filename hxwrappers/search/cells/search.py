"""The search by cells: the first phase of go-explore."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from hxwrappers.demos import Demo
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.search.cells.archive import Archive, Cell, Entry, Node, draw, visit_weights
from hxwrappers.search.cells.cells import AdaptiveFrameCells, CellSettings, FrameSize, choose_size
from hxwrappers.search.cells.explorer import Exploration, Explorer, Order
from hxwrappers.search.cells.run import SearchRun
from hxwrappers.search.cells.settings import SearchSettings
from hxwrappers.search.cells.state import (
    archive_from_state,
    cells_state,
    entries_from_state,
    entries_state,
    pack,
    unpack,
)

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


_MEGABYTE = 1e6
_SHARE_KEPT = 0.9


@dataclass
class _WorkerState:
    """What the search keeps of one worker: its order, and what goes into the next one.

    Attributes:
        news: Cells that it has not heard of.
        forgotten: Cells that it is to forget; None for all that it may know from before.
        starts: Where it explores from.
    """

    news: dict[Cell, None]
    forgotten: list[Cell] | None = None
    starts: list[tuple[int, Node]] = field(default_factory=list)


class Search(SearchRun[SearchSettings]):
    """The first phase of go-explore (Ecoffet et al. 2019, arXiv 1901.10995; 2021, Nature 590).

    Again and again a cell is drawn, cells visited rarely before others; its state is restored;
    random actions, many of them repeated, are taken from there; and every cell reached on the way
    that is new, or was reached with a higher score or in fewer steps, is remembered with the way to
    it and a snapshot. With one worker the search is the same every time.

    Args:
        settings: What to search and how.
        workers: Processes that explore; one explores in this process.
        checkpoint: A file to keep the search in, and to go on from where it exists already.
        checkpoint_every: Seconds between two writes of it.

    Attributes:
        settings: What is searched and how.
        best: The best way of all, which may lead to the episode's end.
        best_end: The best way to the episode's own end; None while none is known.
        archive: The cells found.
        rooms: The rooms found, in the order in which they were.

    Raises:
        DemoError: The environment cannot be searched, or the checkpoint is of another search.
        CheckpointError: The checkpoint is damaged.
        DemoError: The cells do not fit the environment.

    Example:
        >>> from hxwrappers.search.cells import CellSettings, Limits, SearchSettings
        >>> lake = {"is_slippery": False}
        >>> search = Search(SearchSettings("FrozenLake-v1", lake, CellSettings("observation")))
        >>> search.run(Limits(score=1.0, steps=50_000)).score
        1.0
        >>> search.demo().score
        1.0
    """

    kind: ClassVar[str] = "Search"

    make_explorer: ClassVar[Any] = Explorer

    def demo(
        self,
        *,
        end: bool = False,
        snapshot_every: int = 50,
        shorten_steps: int = 0,
        made_by: Mapping[str, Any] | None = None,
        room: int | None = None,
    ) -> Demo:
        """The best trajectory found as a demonstration, played from the reset and verified.

        Args:
            end: Whether it shall be the best way to the episode's own end.
            snapshot_every: Steps between two snapshots.
            shorten_steps: Steps of the environment to try with whether the way can be shortened;
                a way into a room stays as it is.
            made_by: Entries to add to what the metadata say of how it was found.
            room: The best way into this room in place of the best score: 1 for the room that was
                found first, and so on.

        Raises:
            InvalidArgumentError: There is no such room, or no way to the end was found.
            DemoError: The environment's snapshots turn out not to be exact.
        """
        if room is None:
            return super().demo(
                end=end,
                snapshot_every=snapshot_every,
                shorten_steps=shorten_steps,
                made_by=made_by,
            )
        # Not shortened: a shorter way with the score of one into a room need not lead there.
        entry = self._best_into(room)
        return self.way_to_demo(entry, snapshot_every=snapshot_every, made_by=made_by)

    def _prepare(self) -> None:
        self.archive = Archive()
        self.rooms: list[Cell] = []
        self._worker_states: list[_WorkerState] = []
        self._adaptation = Adaptation(self.settings.cells)

    def _begin(self) -> None:
        first = self._explorer.beginning()
        self.best = Entry(0.0, 0, first.lives, Node(None, b""), first.snapshot, first.picture)
        self._keep(first.cell, self.best)

    def _extent(self) -> tuple[int, int]:
        return len(self.archive), len(self.rooms)

    def _open(self, count: int) -> None:
        self._worker_states = [
            _WorkerState(dict.fromkeys(self.archive.cells)) for _ in range(count)
        ]

    def _order(self, worker: int) -> Order:
        worker_state = self._worker_states[worker]
        known = []
        for cell in worker_state.news:
            entry = self.archive.get(cell)
            if entry is not None:
                known.append((cell, entry.score, entry.length))
        forgotten = worker_state.forgotten
        worker_state.news, worker_state.forgotten, worker_state.starts = {}, [], []
        starts = []
        weights = visit_weights(self.archive.visits)
        numbers = draw(weights, self.settings.batch, self._generator).tolist()
        for number, seed in zip(numbers, self._seeds(self.settings.batch), strict=True):
            entry = self.archive.entries[number]
            starts.append((self.archive.cells[number], entry.start(seed)))
            worker_state.starts.append((number, entry.node))
        return Order(known, forgotten, self._adaptation.size, starts)

    def _merge_report(self, worker: int, explorations: list[Exploration] | None) -> None:
        worker_state = self._worker_states[worker]
        if explorations is None:
            self._worker_states[worker] = _WorkerState(dict.fromkeys(self.archive.cells))
            return
        for (number, node), exploration in zip(worker_state.starts, explorations, strict=True):
            changed = self._add(number, node, exploration)
            for other in self._worker_states:
                other.news.update(changed)
        self._adapt()
        self._keep_within_memory()

    def _add(self, number: int, node: Node, exploration: Exploration) -> dict[Cell, None]:
        """Add what an exploration found to the archive and return the cells that changed."""
        start = self.archive.entries[number] if number < len(self.archive) else None
        if exploration.snapshot is not None and start is not None and start.node is node:
            start.snapshot = exploration.snapshot
        changed: dict[Cell, None] = {}
        for finding in exploration.findings:
            node = Node(node, finding.actions)
            entry = Entry(
                finding.score,
                finding.length,
                finding.lives,
                node,
                finding.snapshot,
                finding.picture,
            )
            self._offer(entry, terminated=finding.terminated)
            cell = self._adaptation.cell(finding.cell, finding.picture)
            if finding.snapshot is not None and self._keep(cell, entry):
                changed[cell] = None
        self._adaptation.see(exploration.picture)
        self.archive.visit(exploration.visited)
        self._count(exploration.steps, fell=exploration.fell)
        return changed

    def _adapt(self) -> None:
        rebuilt = self._adaptation.adapt(self.archive, self._explorations, self._generator)
        if rebuilt is not None:
            self.archive = rebuilt
            for worker_state in self._worker_states:
                worker_state.news, worker_state.forgotten = dict.fromkeys(rebuilt.cells), []

    def _keep_within_memory(self) -> None:
        memory = self.settings.memory
        if memory is None or self.archive.size <= memory * _MEGABYTE:
            return
        dropped = self.archive.drop(int(_SHARE_KEPT * memory * _MEGABYTE))
        for worker_state in self._worker_states:
            if worker_state.forgotten is not None:
                worker_state.forgotten += dropped

    def _keep(self, cell: Cell, entry: Entry) -> bool:
        if cell not in self.archive:
            self._record_room(cell)
            self._note_new()
        return self.archive.offer(cell, entry)

    def _record_room(self, cell: Cell) -> None:
        room = self._explorer.room(cell)
        if room is not None and room not in self.rooms:
            self.rooms.append(room)

    def _best_into(self, number: int) -> Entry:
        if not 1 <= number <= len(self.rooms):
            raise InvalidArgumentError(
                f"Room number {number} was asked for, but {len(self.rooms)} rooms are known."
            )
        room = self.rooms[number - 1]
        ways = [
            entry
            for cell, entry in zip(self.archive.cells, self.archive.entries, strict=True)
            if self._explorer.room(cell) == room
        ]
        return max(ways, key=lambda entry: (entry.score, -entry.length))

    def _state(self) -> dict[str, Any]:
        return {
            "archive": {**cells_state(self.archive), **entries_state(self.archive.entries)},
            "adaptation": self._adaptation.state_dict(),
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        entries = entries_from_state(state["archive"], self._explorer.actions.size)
        self.archive = archive_from_state(state["archive"], entries)
        self._adaptation.load_state_dict(state["adaptation"])
        for cell in self.archive.cells:
            self._record_room(cell)
