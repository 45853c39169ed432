"""Exploration from a restored state by random actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from hxwrappers.search.cells.archive import Cell, Start, is_better
from hxwrappers.search.cells.bursts import Bursts
from hxwrappers.search.cells.cells import (
    AdaptiveFrameCells,
    FrameSize,
    call_cells,
    checked_cell,
    make_cells,
)
from hxwrappers.search.cells.settings import SearchSettings


class Order(NamedTuple):
    """What one explorer is to do next.

    Attributes:
        known: Cells to which a better way became known since the explorer's last order.
        forgotten: Cells that were dropped and count as new again; None for all.
        size: The size of frame cells that adapt; None where cells do not.
        starts: The cells to explore from with their states, one exploration each.
    """

    known: list[tuple[Cell, float, int]]
    forgotten: list[Cell] | None
    size: FrameSize | None
    starts: list[tuple[Cell, Start]]


class Finding(NamedTuple):
    """A better way to a cell than was known, or the end of an episode.

    Attributes:
        cell: The cell; None at the end of an episode.
        score: The return on the way.
        length: The environment's steps on the way.
        lives: The lives left, or None.
        actions: The actions since the finding before, or since the start, packed.
        snapshot: The packed state; None at the end of an episode.
        terminated: Whether the episode ended by itself there.
        picture: The frame there, where cells adapt.
    """

    cell: Cell
    score: float
    length: int
    lives: int | None
    actions: bytes
    snapshot: Any
    terminated: bool = False
    picture: bytes | None = None


class Exploration(NamedTuple):
    """What came of one exploration.

    Attributes:
        findings: What was found, in the order in which it was.
        visited: The cells that it came through, with the one it began in.
        steps: The environment's steps that it took.
        snapshot: The packed state it began in, where that had to be made again; otherwise None.
        fell: Whether it ended with a lost life.
        picture: The frame where it ended, where cells adapt.
    """

    findings: list[Finding]
    visited: list[Cell]
    steps: int
    snapshot: Any
    fell: bool = False
    picture: bytes | None = None


class Explorer:
    """One environment to explore with.

    Args:
        settings: What to search and how.
        reference: What packed snapshots are compressed against; see `SnapshotPacker`.

    Attributes:
        reference: The same, for the explorers that this one exchanges snapshots with.
        actions: The environment's actions.

    Raises:
        DemoError: The environment cannot be made, or has no fast and exact snapshots.
        DemoError: There is no such cell function.
    """

    def __init__(self, settings: SearchSettings, reference: bytes | None = None) -> None:
        self._doomed = settings.doomed * settings.steps_held
        env = settings.make_search_env()
        self._cells = make_cells(settings.cells, env)
        self._bursts = Bursts(settings, env, reference)
        self._env, self._packer, self.actions = env, self._bursts.packer, self._bursts.actions
        self.reference = self._packer.reference
        self._known: dict[Cell, tuple[float, int]] = {}

    def beginning(self) -> Finding:
        """The state after the reset; to be asked for before anything is explored."""
        bursts = self._bursts
        cell = checked_cell(call_cells(self._cells, self._env, bursts.first), self._cells)
        picture = self._picture(bursts.first)
        snapshot = self._packer.pack()
        return Finding(cell, 0.0, 0, bursts.first_lives, b"", snapshot, picture=picture)

    def room(self, cell: Cell) -> Cell:
        """The room that a cell lies in, or None where the cell function knows no rooms."""
        room = getattr(self._cells, "room", None)
        return None if room is None else room(cell)

    def carry_out(self, order: Order) -> list[Exploration]:
        """Do an order."""
        if isinstance(self._cells, AdaptiveFrameCells) and order.size not in (
            None,
            self._cells.size,
        ):
            self._cells.resize(order.size)
            self._known.clear()
        if order.forgotten is None:
            self._known.clear()
        for cell in order.forgotten or ():
            self._known.pop(cell, None)
        self.learn(order.known)
        return [self.explore(cell, start) for cell, start in order.starts]

    def learn(self, known: Iterable[tuple[Cell, float, int]]) -> None:
        """Take note of cells to which a way is known, with its score and its length."""
        for cell, score, length in known:
            self._known[cell] = (score, length)

    def explore(self, start_cell: Cell, start: Start) -> Exploration:
        """Explore from a state until a life is lost, the episode ends, or the actions are spent.

        Raises:
            DemoError: The cell function fails or returns no cell.
        """
        rebuilt = self._bursts.go_to(start)
        visited = {start_cell: None}
        findings: list[Finding] = []
        replaced: list[tuple[float, int] | None] = []
        since: list[Any] = []
        length, fell = start.length, False
        for moment in self._bursts.explore(start):
            since.append(moment.action)
            score, length, lives, fell = moment.score, moment.length, moment.lives, moment.fell
            if moment.terminated or moment.truncated:
                actions = self.actions.pack(since)
                if fell:
                    dropped = self._drop_lost_starts(findings, replaced, start.score, length)
                    actions = dropped + actions
                findings.append(
                    Finding(None, score, length, lives, actions, None, moment.terminated)
                )
                break
            if fell:
                self._drop_lost_starts(findings, replaced, start.score, length)
                break
            cell = call_cells(self._cells, self._env, moment.observation)
            if self._is_progress(cell, score, length):
                cell = checked_cell(cell, self._cells)
                replaced.append(self._known.get(cell))
                self._known[cell] = (score, length)
                actions = self.actions.pack(since)
                findings.append(
                    Finding(
                        cell,
                        score,
                        length,
                        lives,
                        actions,
                        self._packer.pack(),
                        picture=self._picture(moment.observation),
                    )
                )
                since = []
            visited[cell] = None
        picture = self._picture(moment.observation)
        return Exploration(findings, list(visited), length - start.length, rebuilt, fell, picture)

    def _drop_lost_starts(
        self,
        findings: list[Finding],
        replaced: list[tuple[float, int] | None],
        score: float,
        length: int,
    ) -> bytes:
        """Forget what was found, without a reward, in the last moments before a life was lost.

        Most of these states cannot be saved any more (a fall, a dying animation), and as the
        shortest way to their cells they would keep better ones out.

        Returns:
            The packed actions that led from the last one that is left to the last one of all.
        """
        dropped = b""
        earliest = length - self._doomed
        scores = [score, *(finding.score for finding in findings)]
        while findings and findings[-1].length > earliest and scores[-1] == scores[-2]:
            lost = findings.pop()
            cell, dropped = lost.cell, lost.actions + dropped
            scores.pop()
            before = replaced.pop()
            if before is None:
                del self._known[cell]
            else:
                self._known[cell] = before
        return dropped

    def _picture(self, observation: Any) -> bytes | None:
        """The frame as it is now, if cells adapt."""
        if isinstance(self._cells, AdaptiveFrameCells):
            return self._cells.picture(self._env, observation)
        return None

    def _is_progress(self, cell: Cell, score: float, length: int) -> bool:
        try:
            known = self._known.get(cell)
        except TypeError:  # not hashable, which checked_cell says in so many words
            return True
        better = known is None or is_better(score, length, *known)
        return better and self._bursts.exact_now()
