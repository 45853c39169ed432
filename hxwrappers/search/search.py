"""Search by novelty: a population of states that spreads over all that can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from hxwrappers.search.cells.archive import Entry, Node, draw
from hxwrappers.search.cells.run import SearchRun
from hxwrappers.search.explorer import (
    Candidate,
    Exploration,
    NoveltyExplorer,
    NoveltySearchSettings,
    Order,
)
from hxwrappers.search.guide import Groups, NoveltyGuide
from hxwrappers.search.population import Population
from hxwrappers.search.signatures import SCENE_DISTANCE, Scale, scene_part


class NoveltySearch(SearchRun[NoveltySearchSettings]):
    """A search guided by novelty, without cells or any knowledge of the game.

    A population of states explores (Go-With-The-Winner: Aldous and Vazirani 1994; with uncertainty
    in place of cells: Mhammedi and Cohan 2026, arXiv 2603.22273). Again and again some of them are
    drawn, those seldom begun from or come back to before others; each is explored from several
    times over by random actions, many of them repeated; and what was reached joins the population
    where it is farther from all states than the two nearest of them are from each other, of which
    the one that lags is then dropped (novelty search: Lehman and Stanley 2011). A share of the
    turns is divided among groups of states, each of one scene and one of the best scores.

    With one worker the search is the same every time.

    Args:
        settings: What to search and how.
        workers: Processes that explore; one explores in this process.
        checkpoint: A file to keep the search in, and to go on from where it exists already.
        checkpoint_every: Seconds between two writes of it.

    Attributes:
        settings: What is searched and how.
        best: The best way of all; its end may be doomed.
        best_end: The best way to the episode's own end; None while none is known.
        population: The states kept, none of them doomed as far as is known.

    Raises:
        DemoError: The environment cannot be searched, or the checkpoint is of another search.
        CheckpointError: The checkpoint is damaged.

    Example:
        >>> from hxwrappers.search.cells import Limits
        >>> from hxwrappers.search.explorer import NoveltySearchSettings
        >>> settings = NoveltySearchSettings("FrozenLake-v1", {"is_slippery": False}, explore=10)
        >>> search = NoveltySearch(settings)
        >>> search.run(Limits(score=1.0, steps=50_000)).score
        1.0
        >>> search.demo().score
        1.0
    """

    kind: ClassVar[str] = "NoveltySearch"

    make_explorer: ClassVar[Any] = NoveltyExplorer

    def from_way(self, way: bytes) -> NoveltySearch:
        """Another search with the same settings, which goes on from all states on a way.

        Where it finds a better way, that has as much in common with this one as can be: what
        follows this way to some state is shortened only after it.

        Args:
            way: The actions of one that this search has found, shortened or not, packed.
        """
        search = NoveltySearch(self.settings, workers=self._number_of_workers)
        search._way = way
        if way:
            search._take_in_one(search.best.node, search._explorer.follow(way), set())
        return search

    def again(self) -> NoveltySearch:
        """A search from where this one began, whose other draws lead it other ways."""
        search = self.from_way(self._way)
        search._generator = self._generator
        return search

    def _kept(self, entry: Entry) -> int:
        packed, size = entry.node.trajectory(), self._explorer.actions.size
        ends = range(size, min(len(packed), len(self._way)) + 1, size)
        return sum(1 for end in ends if packed.startswith(self._way[:end]))

    def _prepare(self) -> None:
        self._way = b""
        settings, explorer = self.settings, self._explorer
        self._under_way: dict[int, list[tuple[int, Node]]] = {}
        self.population = Population(explorer.vector_size, settings.population, settings.growth)
        self._scale = Scale(explorer.view, explorer.vector_size)
        scene = scene_part(explorer.view)
        self._groups = Groups(scene, SCENE_DISTANCE, settings.population)
        self._guide = NoveltyGuide(
            explorer.view.space, settings.novelty, settings.population, settings.seed
        )

    def _begin(self) -> None:
        first: Candidate = self._explorer.beginning()
        self.best = Entry(0.0, 0, first.lives, Node(None, b""), first.snapshot)
        self._join(first, self.best, self._scale.scaled(first.vector))

    def _extent(self) -> tuple[int, int]:
        return len(self.population), 0

    def _open(self, count: int) -> None:
        self._under_way = {worker: [] for worker in range(count)}

    def _order(self, worker: int) -> Order:
        settings = self.settings
        numbers = self._drawn(settings.batch)
        entries = [self.population.entries[number] for number in numbers]
        self._under_way[worker] = [
            (number, entry.node) for number, entry in zip(numbers, entries, strict=True)
        ]
        for number in numbers:  # one of its siblings may come back to it, so it counts half
            self.population.visit(number, settings.siblings / 2)
        return Order(
            [entry.start(0) for entry in entries],
            [self._seeds(settings.siblings) for _ in entries],
        )

    def _drawn(self, count: int) -> list[int]:
        """The states to explore from next."""
        scores = self.population.scores
        weights = self._guide.weights(len(self.population)) / (1 + self.population.visits)
        drawn: list[int] = draw(weights, count, self._generator).tolist()
        by_group = self._generator.random(count) < self.settings.groups
        shared = self._groups.draw(scores, weights, int(by_group.sum()), self._generator)
        return drawn if shared is None else drawn[len(shared) :] + shared

    def _merge_report(self, worker: int, explorations: list[Exploration] | None) -> None:
        joined: set[int] = set()
        pictures = []
        for (number, node), exploration in zip(
            self._under_way[worker], explorations or [], strict=bool(explorations)
        ):
            self._keep_rebuilt(number, node, exploration.snapshot)
            for candidates, steps, fell in zip(
                exploration.candidates, exploration.steps, exploration.falls, strict=True
            ):
                self._count(steps, fell=fell)
                self._take_in_one(node, candidates, joined)
                pictures += [one.picture for one in candidates if one.picture is not None]
        if pictures:
            self._guide.learn(np.stack(pictures), self._generator)
        if (factors := self._scale.due(self._explorations)) is not None:
            self.population.rescale(factors)

    def _keep_rebuilt(self, number: int, node: Node, snapshot: Any) -> None:
        entry = self.population.entries[number]
        if snapshot is not None and entry.node is node:
            entry.snapshot = snapshot

    def _take_in_one(self, node: Node, candidates: list[Candidate], joined: set[int]) -> None:
        """Take in one exploration.

        Args:
            node: Where it began.
            candidates: What it came to.
            joined: The states that this exchange has come back to already; each counts once.
        """
        before, size = node, 0
        for candidate in candidates:
            end = Node(before, candidate.actions[size:])
            entry = Entry(
                candidate.score, candidate.length, candidate.lives, end, candidate.snapshot
            )
            self._offer(entry, terminated=candidate.terminated)
            if candidate.vector is None:
                continue
            before, size = end, len(candidate.actions)
            vector = self._scale.scaled(candidate.vector)
            number, changed = self._join(candidate, entry, vector)
            if not changed and number not in joined:
                joined.add(number)
                self.population.visit(number)

    def _join(
        self, candidate: Candidate, entry: Entry, vector: npt.NDArray[np.float32]
    ) -> tuple[int, bool]:
        number, changed = self.population.offer(vector, entry, self._explorations)
        if changed:
            self._groups.note(number, vector)
            self._guide.note(number, candidate.picture)
        return number, changed

    def _state(self) -> dict[str, Any]:
        return {
            "population": self.population.state_dict(),
            "groups": self._groups.state_dict(len(self.population)),
            "scale": self._scale.state_dict(),
            "guide": self._guide.state_dict(len(self.population)),
            "way": torch.tensor(list(self._way), dtype=torch.uint8),
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.population.load_state_dict(state["population"], self._explorer.actions.size)
        self._groups.load_state_dict(state["groups"])
        self._scale.load_state_dict(state["scale"])
        self._guide.load_state_dict(state["guide"])
        self._way = state["way"].numpy().tobytes()
