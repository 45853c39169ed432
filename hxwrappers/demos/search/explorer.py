"""Exploring from a state: restore it, act at random, and note what was reached."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from hxwrappers.demos.player import own_reward
from hxwrappers.demos.search.archive import Cell, is_better
from hxwrappers.demos.search.cells import call_cells, checked_cell, make_cells
from hxwrappers.demos.search.packing import SnapshotPacker
from hxwrappers.demos.search.settings import SearchSettings
from hxwrappers.demos.search.trajectory import pack_actions, unpack_actions
from hxwrappers.demos.snapshots import find_snapshotter
from hxwrappers.errors import SearchError

__all__ = ["Exploration", "Explorer", "Finding", "Start"]


class Start(NamedTuple):
    """A state to explore from.

    Attributes:
        cell: The cell it lies in.
        score: The return on the way to it.
        length: The environment's steps on the way to it.
        lives: The lives left, or None.
        snapshot: The packed state, or None where it must be made again by the actions.
        actions: All actions from the reset, packed; empty where there is a snapshot.
        seed: Seed of the random actions.
    """

    cell: Cell
    score: float
    length: int
    lives: int | None
    snapshot: Any
    actions: bytes
    seed: int


class Finding(NamedTuple):
    """A better way to a cell than was known, or the end of an episode.

    Attributes:
        cell: The cell; None at the end of an episode.
        score: The return on the way.
        length: The environment's steps on the way.
        lives: The lives left, or None.
        actions: The actions since the finding before, or since the start, packed.
        snapshot: The packed state; None at the end of an episode.
    """

    cell: Cell
    score: float
    length: int
    lives: int | None
    actions: bytes
    snapshot: Any


class Exploration(NamedTuple):
    """What came of one exploration.

    Attributes:
        findings: What was found, in the order in which it was.
        visited: The cells that it came through, with the one it began in.
        steps: The environment's steps that it took.
        snapshot: The packed state it began in, where that had to be made again; otherwise None.
    """

    findings: list[Finding]
    visited: list[Cell]
    steps: int
    snapshot: Any


class _Outcome(NamedTuple):
    observation: Any
    reward: float
    steps: int
    lives: int | None
    ended: bool


class Explorer:
    """One environment to explore with.

    Args:
        settings: What to search and how.
        reference: What packed snapshots are compressed against; see `SnapshotPacker`.

    Attributes:
        reference: The same, for the explorers that this one exchanges snapshots with.

    Raises:
        SearchError: The environment cannot be made, or has no fast and exact snapshots.
        CellError: There is no such cell function.
    """

    def __init__(self, settings: SearchSettings, reference: bytes | None = None) -> None:
        self._settings = settings
        self._hold = settings.steps_held
        self._env = settings.make_search_env()
        self._observation, self._info = self._env.reset(seed=settings.seed)
        self._cells = make_cells(settings.cells, self._env)
        self._snapshotter = find_snapshotter(self._env)
        if not self._snapshotter.fast:
            raise SearchError(
                f"{settings.env_id} can only be restored by replaying it from the seed, which is "
                "too slow for a search. Give the environment get_state and set_state."
            )
        if not self._snapshotter.exact_now():
            raise SearchError(
                f"{settings.env_id} cannot be frozen exactly right after its reset, so there is "
                "nowhere to begin. For an Atari game use repeat_action_probability=0."
            )
        self._packer = SnapshotPacker(self._snapshotter, reference)
        self.reference = self._packer.reference
        space: Any = self._env.action_space
        self._first_action, self._actions = int(space.start), int(space.n)
        self._known: dict[Cell, tuple[float, int]] = {}

    def beginning(self) -> Finding:
        """The state after the reset; to be asked for before anything is explored."""
        cell = call_cells(self._cells, self._env, self._observation)
        snapshot = self._packer.pack()
        return Finding(
            checked_cell(cell, self._cells), 0.0, 0, self._info.get("lives"), b"", snapshot
        )

    def room(self, cell: Cell) -> Cell:
        """The room that a cell lies in, or None where the cell function knows no rooms."""
        room = getattr(self._cells, "room", None)
        return None if room is None else room(cell)

    def learn(self, known: Iterable[tuple[Cell, float, int]]) -> None:
        """Take note of cells to which a way is known, with its score and its length."""
        for cell, score, length in known:
            self._known[cell] = (score, length)

    def explore(self, start: Start) -> Exploration:
        """Explore from a state until a life is lost, the episode ends, or the actions are spent.

        Raises:
            CellError: The cell function fails or returns no cell.
        """
        rebuilt = self._go_to(start)
        chance = random.Random(start.seed)
        visited = {start.cell: None}
        findings: list[Finding] = []
        replaced: list[tuple[float, int] | None] = []
        since: list[int] = []
        score, length, lives = start.score, start.length, start.lives
        action = self._draw(chance)
        for _ in range(self._settings.explore):
            if chance.random() >= self._settings.repeat:
                action = self._draw(chance)
            since.append(action)
            outcome = self._act(action, lives)
            score += outcome.reward
            length += outcome.steps
            if outcome.ended:
                actions = pack_actions(since)
                findings.append(Finding(None, score, length, outcome.lives, actions, None))
            if outcome.ended:
                break
            if _fell(lives, outcome.lives):
                self._forget_doomed(findings, replaced, start.score, length)
                break
            lives = outcome.lives
            cell = call_cells(self._cells, self._env, outcome.observation)
            if self._is_progress(cell, score, length):
                cell = checked_cell(cell, self._cells)
                replaced.append(self._known.get(cell))
                self._known[cell] = (score, length)
                actions = pack_actions(since)
                findings.append(Finding(cell, score, length, lives, actions, self._packer.pack()))
                since = []
            visited[cell] = None
        return Exploration(findings, list(visited), length - start.length, rebuilt)

    def _forget_doomed(
        self,
        findings: list[Finding],
        replaced: list[tuple[float, int] | None],
        score: float,
        length: int,
    ) -> None:
        """Forget what was found, without a reward, in the last moments before a life was lost.

        Most of these states cannot be saved any more (a fall, a dying animation), and as the
        shortest way to their cells they would keep better ones out.
        """
        earliest = length - self._settings.doomed * self._hold
        scores = [score, *(finding.score for finding in findings)]
        while findings and findings[-1].length > earliest and scores[-1] == scores[-2]:
            cell = findings.pop().cell
            scores.pop()
            before = replaced.pop()
            if before is None:
                del self._known[cell]
            else:
                self._known[cell] = before

    def _go_to(self, start: Start) -> Any:
        if start.snapshot is not None:
            self._packer.restore(start.snapshot)
            return None
        self._env.reset(seed=self._settings.seed)
        for action in unpack_actions(start.actions):
            self._act(action, None)
        return self._packer.pack()

    def _draw(self, chance: random.Random) -> int:
        return int(chance.random() * self._actions)

    def _act(self, action: int, lives: int | None) -> _Outcome:
        total, steps = 0.0, 0
        for _ in range(self._hold):
            observation, reward, terminated, truncated, info = self._env.step(
                self._first_action + action
            )
            total += own_reward(reward, info)
            steps += 1
            left, ended = info.get("lives"), bool(terminated or truncated)
            if ended or _fell(lives, left):
                break
        return _Outcome(observation, total, steps, left, ended)

    def _is_progress(self, cell: Cell, score: float, length: int) -> bool:
        try:
            known = self._known.get(cell)
        except TypeError:  # not hashable, which checked_cell says in so many words
            return True
        better = known is None or is_better(score, length, *known)
        return better and self._snapshotter.exact_now()


def _fell(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now < before
