"""Go-explore's first phase: remember cells, return to one, explore from it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hxwrappers import _random, checkpoints
from hxwrappers._files import try_to_save
from hxwrappers.demos.demo import Demo
from hxwrappers.demos.search.archive import Archive, Cell, Entry
from hxwrappers.demos.search.explorer import Exploration, Explorer, Start
from hxwrappers.demos.search.limits import Limits, Progress
from hxwrappers.demos.search.outcome import make_demo
from hxwrappers.demos.search.settings import SearchSettings
from hxwrappers.demos.search.state import archive_from_state, archive_state
from hxwrappers.demos.search.trajectory import Node, pack_actions
from hxwrappers.demos.search.weights import draw, visit_weights
from hxwrappers.demos.search.workers import Order, OwnWorker, ProcessWorkers, Workers
from hxwrappers.errors import CheckpointError, InvalidArgumentError, SearchError

__all__ = ["Search"]

_KIND = "Search"
_SEEDS = 1 << 48


@dataclass
class _Desk:
    """What the search keeps of one worker: cells it has not heard of, and its order."""

    news: dict[Cell, None]
    starts: list[tuple[int, Node]] | None = None


class Search:
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
        archive: The cells found.
        rooms: The rooms found, in the order in which they were.

    Raises:
        SearchError: The environment cannot be searched, or the checkpoint is of another search.
        CheckpointError: The checkpoint is damaged.
        CellError: The cells do not fit the environment.

    Example:
        >>> from hxwrappers.demos.search import CellSettings, SearchSettings
        >>> lake = {"is_slippery": False}
        >>> search = Search(SearchSettings("FrozenLake-v1", lake, CellSettings("observation")))
        >>> search.run(Limits(score=1.0, steps=50_000)).score
        1.0
        >>> search.demo().score
        1.0
    """

    def __init__(
        self,
        settings: SearchSettings,
        *,
        workers: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
    ) -> None:
        if workers < 1:
            raise InvalidArgumentError(f"{workers} workers were asked for; at least one explores.")
        self.settings = settings
        self.archive = Archive()
        self.rooms: list[Cell] = []
        self._steps, self._explorations, self._seconds, self._workers_lost = 0, 0, 0.0, 0
        self._generator = _random.own_generator(settings.seed, "Search")
        self._number_of_workers = workers
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        self._checkpoint_every = checkpoint_every
        self._stopping = False
        saved = self._load()
        self._explorer = Explorer(settings, None if saved is None else saved["reference"])
        if saved is not None:
            self._go_on_from(saved)
            return
        first = self._explorer.beginning()
        self._keep(first.cell, Entry(0.0, 0, first.lives, Node(None, b""), first.snapshot))

    @property
    def progress(self) -> Progress:
        """How far the search is."""
        return Progress(
            self._steps,
            self._explorations,
            self._seconds,
            self._best.score,
            len(self.archive),
            len(self.rooms),
            self._workers_lost,
        )

    def run(
        self, limits: Limits, on_progress: Callable[[Progress], object] | None = None
    ) -> Progress:
        """Search until a limit is reached, or `stop` is called.

        Args:
            limits: When to stop.
            on_progress: Called after every exchange with the workers.

        Returns:
            How far the search is then; its checkpoint is written.

        Raises:
            SearchError: Several workers died one after the other.
            CellError: The cell function failed.
        """
        self._stopping = False
        count = self._number_of_workers
        workers: Workers = (
            OwnWorker(self._explorer)
            if count == 1
            else ProcessWorkers(self.settings, count, self._explorer.reference)
        )
        desks = [_Desk(dict.fromkeys(self.archive.cells)) for _ in range(count)]
        began = written = time.monotonic()
        seconds_before, lost_before = self._seconds, self._workers_lost
        try:
            while not (self._stopping or limits.reached(self.progress, time.monotonic() - began)):
                self._exchange(workers, desks)
                now = time.monotonic()
                self._seconds = seconds_before + now - began
                self._workers_lost = lost_before + workers.deaths
                if self._checkpoint is not None and now - written >= self._checkpoint_every:
                    try_to_save(partial(self.save, self._checkpoint))
                    written = time.monotonic()
                if on_progress is not None:
                    on_progress(self.progress)
        finally:
            workers.close()
        if self._checkpoint is not None:
            self.save(self._checkpoint)
        return self.progress

    def stop(self) -> None:
        """Let `run` return after the exchange under way; for signal handlers."""
        self._stopping = True

    def demo(
        self,
        *,
        room: int | None = None,
        snapshot_every: int = 50,
        made_by: Mapping[str, Any] | None = None,
    ) -> Demo:
        """The best trajectory found as a demonstration, played from the reset and verified.

        Args:
            room: The best way into the room that was found as the so-manieth, from 1, in place of
                the best score.
            snapshot_every: Steps between two snapshots.
            made_by: Entries to add to what the metadata say of how it was found.

        Raises:
            InvalidArgumentError: There is no such room.
            DemoVerificationError: The environment's snapshots turn out not to be exact.
        """
        found = {
            "tool": "hxw demo search",
            "search": self.settings.to_dict(),
            "workers": self._number_of_workers,
            "search_steps": self._steps,
            "search_seconds": round(self._seconds, 1),
            **(made_by or {}),
        }
        entry = self._best if room is None else self._best_into(room)
        return make_demo(self.settings, entry, found, snapshot_every=snapshot_every)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the search to a file, atomically, so that it can be gone on with."""
        reference = torch.tensor(list(self._explorer.reference), dtype=torch.uint8)
        state = {
            "settings": self.settings.to_dict(),
            "archive": archive_state(self.archive),
            "generator": self._generator.bit_generator.state,
            "reference": reference,
            "steps": self._steps,
            "explorations": self._explorations,
            "seconds": self._seconds,
            "workers_lost": self._workers_lost,
        }
        checkpoints.save_checkpoint(path, _KIND, state)

    @property
    def _best(self) -> Entry:
        assert self.archive.best is not None, "the archive begins with the start"
        return self.archive.best

    def _exchange(self, workers: Workers, desks: list[_Desk]) -> None:
        for worker, desk in enumerate(desks):
            if desk.starts is None:
                workers.send(worker, self._order(desk))
        for worker, explorations in workers.receive():
            desk = desks[worker]
            if explorations is None:
                desk.news = dict.fromkeys(self.archive.cells)
            else:
                assert desk.starts is not None
                for (number, node), exploration in zip(desk.starts, explorations, strict=True):
                    changed = self._take_in(number, node, exploration)
                    for other in desks:
                        other.news.update(changed)
            desk.starts = None

    def _order(self, desk: _Desk) -> Order:
        known = []
        for cell in desk.news:
            entry = self.archive.get(cell)
            assert entry is not None
            known.append((cell, entry.score, entry.length))
        desk.news, desk.starts = {}, []
        starts = []
        weights = visit_weights(self.archive.visits)
        numbers = draw(weights, self.settings.batch, self._generator).tolist()
        seeds = self._generator.integers(0, _SEEDS, self.settings.batch).tolist()
        for number, seed in zip(numbers, seeds, strict=True):
            entry = self.archive.entries[number]
            actions = b"" if entry.snapshot else pack_actions(entry.node.trajectory())
            starts.append(
                Start(
                    self.archive.cells[number],
                    entry.score,
                    entry.length,
                    entry.lives,
                    entry.snapshot,
                    actions,
                    seed,
                )
            )
            desk.starts.append((number, entry.node))
        return Order(known, starts)

    def _take_in(self, number: int, node: Node, exploration: Exploration) -> dict[Cell, None]:
        """Add what an exploration found to the archive and return the cells that changed."""
        start = self.archive.entries[number]
        if exploration.snapshot is not None and start.node is node:
            start.snapshot = exploration.snapshot
        changed: dict[Cell, None] = {}
        for cell, score, length, lives, actions, snapshot in exploration.findings:
            node = Node(node, actions)
            entry = Entry(score, length, lives, node, snapshot)
            if snapshot is None:
                self.archive.offer_end(entry)
            elif self._keep(cell, entry):
                changed[cell] = None
        self.archive.visit(exploration.visited)
        self._steps += exploration.steps
        self._explorations += 1
        return changed

    def _keep(self, cell: Cell, entry: Entry) -> bool:
        if cell not in self.archive:
            self._note_room(cell)
        return self.archive.offer(cell, entry)

    def _note_room(self, cell: Cell) -> None:
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

    def _load(self) -> dict[str, Any] | None:
        path = self._checkpoint
        if path is None or not path.exists():
            return None
        state = checkpoints.load_checkpoint(path, _KIND)
        mine, its = self.settings.to_dict(), state.get("settings")
        known = its if isinstance(its, dict) else {}
        different = [
            name for name in mine if not checkpoints.says_the_same(mine[name], known.get(name))
        ]
        if different:
            raise SearchError(
                f"{path} is the checkpoint of a search with other settings; what differs is "
                f"{', '.join(different)}. Give the same settings, or another file."
            )
        reference = state.get("reference")
        if not isinstance(reference, torch.Tensor):
            raise CheckpointError(f"{path} is damaged. Begin the search anew.")
        return {**state, "reference": reference.numpy().tobytes()}

    def _go_on_from(self, state: Mapping[str, Any]) -> None:
        with checkpoints.refusing_malformed(
            "The checkpoint of the search is damaged", "Begin the search anew."
        ):
            self.archive = archive_from_state(state["archive"])
            self._generator = _random.generator_from_state(state["generator"])
            self._steps, self._explorations = int(state["steps"]), int(state["explorations"])
            self._seconds = float(state["seconds"])
            self._workers_lost = int(state["workers_lost"])
        for cell in self.archive.cells:
            self._note_room(cell)
