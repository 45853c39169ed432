"""The frame of every search: workers, limits, progress, a checkpoint, a demonstration."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch

from hxwrappers.demos import Demo
from hxwrappers.errors import CheckpointError, DemoError, InvalidArgumentError
from hxwrappers.files import checkpoints
from hxwrappers.files import generators as _random
from hxwrappers.files.atomic import try_to_save
from hxwrappers.search.cells.archive import Entry, is_better
from hxwrappers.search.cells.outcome import make_demo, shortened
from hxwrappers.search.cells.settings import ExplorationSettings, Limits, Progress
from hxwrappers.search.cells.state import entries_from_state, entries_state
from hxwrappers.search.cells.workers import OwnWorker, ProcessWorkers, Workers

_SEEDS = 1 << 48


SettingsT = TypeVar("SettingsT", bound=ExplorationSettings)


class SearchRun(ABC, Generic[SettingsT]):
    """A search that gives orders to workers and takes in what they found.

    Arguments, attributes and errors are those of `Search` and `NoveltySearch`, which say what an
    order is and what is kept of what was found.
    """

    kind: ClassVar[str]
    """What its checkpoints are called."""

    make_explorer: ClassVar[Any]
    """Makes what a worker explores with; see `MakeExplorer`."""

    best: Entry

    def __init__(
        self,
        settings: SettingsT,
        *,
        workers: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
    ) -> None:
        if workers < 1:
            raise InvalidArgumentError(f"{workers} workers were asked for; at least one explores.")
        self.settings = settings
        self.best_end: Entry | None = None
        self._steps, self._explorations, self._falls, self._still_since = 0, 0, 0, 0
        self._seconds, self._workers_lost = 0.0, 0
        self._generator = _random.own_generator(settings.seed, self.kind)
        self._number_of_workers = workers
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        self._checkpoint_every = checkpoint_every
        self._stopping = False
        self._explorer: Any
        if self._checkpoint is not None and self._checkpoint.exists():
            saved = checkpoints.load_checkpoint(self._checkpoint, self.kind)
            self._load(saved, str(self._checkpoint))
        else:
            self._explorer = self.make_explorer(settings, None)
            self._prepare()
            self._begin()

    @property
    def progress(self) -> Progress:
        """How far the search is."""
        cells, rooms = self._extent()
        return Progress(
            self._steps,
            self._explorations,
            self._seconds,
            self.best.score,
            cells,
            rooms,
            self._workers_lost,
            self.best_end is not None,
            self._falls,
            self._still_since,
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
            WorkerError: Several workers died one after the other.
            DemoError: The cell function failed.
        """
        self._stopping = False
        count = self._number_of_workers
        workers: Workers = (
            OwnWorker(self._explorer)
            if count == 1
            else ProcessWorkers(self.make_explorer, self.settings, count, self._explorer.reference)
        )
        self._open(count)
        busy = [False] * count
        began = written = time.monotonic()
        seconds_before, lost_before = self._seconds, self._workers_lost
        try:
            while not (self._stopping or limits.reached(self.progress, time.monotonic() - began)):
                self._exchange(workers, busy)
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the search to a file, atomically, so that it can be gone on with."""
        checkpoints.save_checkpoint(path, self.kind, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """All that the search knows, for a checkpoint."""
        return {
            "settings": self.settings.to_dict(),
            "generator": self._generator.bit_generator.state,
            "reference": torch.tensor(list(self._explorer.reference), dtype=torch.uint8),
            "steps": self._steps,
            "explorations": self._explorations,
            "falls": self._falls,
            "still_since": self._still_since,
            "seconds": self._seconds,
            "workers_lost": self._workers_lost,
            "best": entries_state([self.best, *([self.best_end] if self.best_end else [])]),
            **self._state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            DemoError: It is of a search with other settings.
            CheckpointError: It is damaged.
        """
        self._load(state, "The state")

    def _load(self, state: Mapping[str, Any], name: str) -> None:
        mine, its = self.settings.to_dict(), state.get("settings")
        known = its if isinstance(its, dict) else {}
        different = [
            name for name in mine if not checkpoints.equal_states(mine[name], known.get(name))
        ]
        if different:
            raise DemoError(
                f"{name} is of a search with other settings; what differs is "
                f"{', '.join(different)}. Give the same settings, or begin another one."
            )
        reference = state.get("reference")
        if not isinstance(reference, torch.Tensor):
            raise CheckpointError(f"{name} is damaged. Begin the search anew.")
        self._explorer = self.make_explorer(self.settings, reference.numpy().tobytes())
        self._prepare()
        with checkpoints.checkpoint_errors(f"{name} is damaged", "Begin the search anew."):
            self._generator = _random.generator_from_state(state["generator"])
            self._steps, self._explorations = int(state["steps"]), int(state["explorations"])
            self._falls, self._still_since = int(state["falls"]), int(state["still_since"])
            self._seconds = float(state["seconds"])
            self._workers_lost = int(state["workers_lost"])
            self.best, *ends = entries_from_state(state["best"], self._explorer.actions.size)
            self.best_end = ends[0] if ends else None
            self._restore(state)

    def demo(
        self,
        *,
        end: bool = False,
        snapshot_every: int = 50,
        shorten_steps: int = 0,
        made_by: Mapping[str, Any] | None = None,
    ) -> Demo:
        """The best trajectory found as a demonstration, played from the reset and verified.

        Args:
            end: Whether it shall be the best way to the episode's own end.
            snapshot_every: Steps between two snapshots.
            shorten_steps: Steps of the environment to try with whether the way can be shortened.
            made_by: Entries to add to what the metadata say of how it was found.

        Raises:
            InvalidArgumentError: A way to the end was asked for and none was found.
            DemoError: The environment's snapshots turn out not to be exact.
        """
        return self.way_to_demo(
            self._end() if end else self.best,
            snapshot_every=snapshot_every,
            shorten_steps=shorten_steps,
            made_by=made_by,
        )

    def way_to_demo(
        self,
        entry: Entry,
        *,
        snapshot_every: int = 50,
        shorten_steps: int = 0,
        made_by: Mapping[str, Any] | None = None,
    ) -> Demo:
        """A way that was found as a demonstration, played from the reset and verified.

        Args:
            entry: The way.
            snapshot_every: Steps between two snapshots.
            shorten_steps: Steps of the environment to try with whether the way can be shortened.
            made_by: Entries to add to what the metadata say of how it was found.

        Raises:
            DemoError: The environment's snapshots turn out not to be exact.
        """
        found = {
            "tool": "hxw demo search",
            "search": self.settings.to_dict(),
            "workers": self._number_of_workers,
            "search_steps": self._steps,
            "search_seconds": round(self._seconds, 1),
            **(made_by or {}),
        }
        if shorten_steps > 0:
            before = entry.length
            entry = self.shortened(entry, shorten_steps)
            found["shortened_from"] = before
        return make_demo(self.settings, entry, found, snapshot_every=snapshot_every)

    def shortened(self, entry: Entry, steps: int) -> Entry:
        """A way that was found, made shorter as far as that is possible.

        Args:
            entry: The way.
            steps: Steps of the environment to try with.
        """
        return shortened(self.settings, entry, steps, kept=self._kept(entry))

    def _kept(self, _entry: Entry) -> int:
        """How many actions at the beginning of a way stay when it is shortened."""
        return 0

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the search keeps, empty; the settings and the explorer are there."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin with the state after the reset, as the best way so far."""

    @abstractmethod
    def _extent(self) -> tuple[int, int]:
        """How many cells, or states, and rooms are known."""

    @abstractmethod
    def _open(self, count: int) -> None:
        """Get ready for so many workers, none of which knows anything."""

    @abstractmethod
    def _order(self, worker: int) -> Any:
        """What a worker is to do next."""

    @abstractmethod
    def _merge_report(self, worker: int, explorations: list[Any] | None) -> None:
        """Take in what came of a worker's order; None where the worker died and was replaced."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """What only this kind of search keeps in its checkpoint."""

    @abstractmethod
    def _restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `_state` gave."""

    def _exchange(self, workers: Workers, busy: list[bool]) -> None:
        for worker, is_busy in enumerate(busy):
            if not is_busy:
                workers.send(worker, self._order(worker))
                busy[worker] = True
        for worker, explorations in workers.receive():
            self._merge_report(worker, explorations)
            busy[worker] = False

    def _seeds(self, count: int) -> list[int]:
        seeds: list[int] = self._generator.integers(0, _SEEDS, count).tolist()
        return seeds

    def _count(self, steps: int, *, fell: bool) -> None:
        """Count one exploration."""
        self._steps += steps
        self._explorations += 1
        self._falls += fell

    def _note_new(self) -> None:
        """Something new was found."""
        self._still_since = self._steps

    def _offer(self, entry: Entry, *, terminated: bool = False) -> None:
        """Keep a way as the best, or as the best to the end, if it is."""
        if is_better(entry.score, entry.length, self.best.score, self.best.length):
            if entry.score > self.best.score:
                self._note_new()
            self.best = entry
        end = self.best_end
        if terminated and (
            end is None or is_better(entry.score, entry.length, end.score, end.length)
        ):
            if end is None:
                self._note_new()
            self.best_end = entry

    def _end(self) -> Entry:
        if self.best_end is None:
            raise InvalidArgumentError(
                "A way to the episode's end was asked for, but none was found. Search for longer."
            )
        return self.best_end
