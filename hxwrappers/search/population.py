"""A population of states that keep their distance from each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.search.cells.archive import Entry, is_better
from hxwrappers.search.cells.state import entries_from_state, entries_state

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]

_SMALLEST = 64
_REACH = 3.0
"""Within so many usual distances of a state, visits of it count for a newcomer as well."""


class Population:
    """States spread over what was seen, as evenly as their number allows.

    A candidate that lies nearer to a state than any two states lie to each other is taken for the
    same place, and replaces it only if it leads with a higher score, or in fewer steps. Any other
    is new: it joins, and where the population is full the two states nearest to each other become
    one, the one that leads (Go-With-The-Winner: those that lag are dropped for those that are new).
    So the distance at which two states count as different adapts itself: small while little is
    known, and larger the more there is to cover.

    It may hold one state for every `growth` explorations, 64 at least and `capacity` at most: few
    states, each tried often, spread first; many tell apart what needs it later.

    Args:
        size: Numbers of a vector.
        capacity: States at most.
        growth: Explorations for each state that the population may hold.

    Attributes:
        entries: The states, with the best way known to each.
        visits: How often each was begun from or come back to.

    Example:
        >>> from hxwrappers.search.cells.archive import Entry, Node
        >>> population = Population(1, 64, 1)
        >>> def offer(place, score):
        ...     way = Entry(score, 1, None, Node(None, b""), b"")
        ...     return population.offer(np.array([place], np.float32), way, 0)
        >>> offer(0.0, 0.0), offer(5.0, 0.0), offer(5.0, 1.0), offer(5.0, 0.0)
        ((0, True), (1, True), (1, True), (1, False))
    """

    def __init__(self, size: int, capacity: int, growth: int) -> None:
        if capacity < _SMALLEST or growth < 1:
            raise InvalidArgumentError(
                f"A population of {capacity} states, one for every {growth} explorations, cannot "
                f"explore; it holds at least {_SMALLEST}, and grows by one after at least one."
            )
        self._capacity, self._growth = capacity, growth
        self.entries: list[Entry] = []
        self._vectors = np.zeros((capacity, size), np.float32)
        self._squares = np.zeros(capacity, np.float32)
        self._visits, self._scores = np.zeros(capacity), np.zeros(capacity)
        self._nearest_distance = np.full(capacity, np.inf, np.float32)
        self._nearest = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def visits(self) -> Numbers:
        """How often each state was begun from or come back to."""
        return self._visits[: len(self)]

    @property
    def scores(self) -> Numbers:
        """The score on the way to each state."""
        return self._scores[: len(self)]

    @property
    def vectors(self) -> Vectors:
        """The vector of each state."""
        return self._vectors[: len(self)]

    @property
    def spacing(self) -> float:
        """The least distance between two states; 0 while there are fewer than two."""
        return float(self._nearest_distance[: len(self)].min()) if len(self) > 1 else 0.0

    def offer(self, vector: Vectors, entry: Entry, explorations: int) -> tuple[int, bool]:
        """Offer a state.

        Args:
            vector: What it looks like, shape `(size,)`.
            entry: The way to it.
            explorations: How many explorations there were so far.

        Returns:
            The number of the state that it became or was taken for, and whether the population
            changed.
        """
        if not self.entries:
            self.entries.append(entry)
            self._place(0, vector, entry, 0.0)
            return 0, True
        distances = self._distances(vector)
        near = int(distances.argmin())
        full = len(self) >= self._allowed(explorations)
        # Rounding leaves some distance between equal vectors.
        same = np.array_equal(self._vectors[near], vector)
        if same or (full and distances[near] <= self.spacing):
            return near, self._replace(near, entry)
        usual = float(np.median(self._nearest_distance[: len(self)])) if len(self) > 1 else 0.0
        visits = 0.0
        if entry.score <= self._scores[near] and usual > 0:
            share = 1 - float(distances[near]) / (_REACH * usual)
            visits = float(self._visits[near]) * max(0.0, share)
        number = self._merge_nearest() if full else len(self)
        if number == len(self):
            self.entries.append(entry)
        else:
            self.entries[number] = entry
            self._link_again(number)
        self._place(number, vector, entry, visits)
        self._link(number)
        return number, True

    def visit(self, number: int, visits: float = 1.0) -> None:
        """Count visits of a state."""
        self._visits[number] += visits

    def rescale(self, factors: Vectors) -> None:
        """Multiply every vector by factors, and find all neighbours anew.

        Args:
            factors: Shape `(size,)`.
        """
        for number, entry in enumerate(self.entries):
            self._place(number, self._vectors[number] * factors, entry, self._visits[number])
        self._nearest_distance[:] = np.inf
        for number in range(len(self)):
            self._find_neighbour(number)

    def state_dict(self) -> dict[str, Any]:
        """All that the population is, as tensors."""
        count = len(self)
        return {
            "entries": entries_state(self.entries),
            "vectors": torch.from_numpy(self._vectors[:count].copy()),
            "visits": torch.from_numpy(self._visits[:count].copy()),
            "nearest": torch.from_numpy(self._nearest[:count].copy()),
            "distances": torch.from_numpy(self._nearest_distance[:count].copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any], action_size: int) -> None:
        """Become what `state_dict` gave.

        Args:
            state: What it gave.
            action_size: Bytes of a packed action.

        Raises:
            ValueError: It is of another population.
        """
        entries = entries_from_state(state["entries"], action_size)
        count = len(entries)
        vectors, visits = state["vectors"].numpy(), state["visits"].numpy()
        nearest, distances = state["nearest"].numpy(), state["distances"].numpy()
        shapes = [part.shape for part in (vectors, visits, nearest, distances)]
        size = self._vectors.shape[1]
        if not 1 <= count <= self._capacity or shapes != [(count, size), *[(count,)] * 3]:
            raise ValueError("its states are not as many as their vectors")
        if nearest.min() < 0 or nearest.max() >= count:
            raise ValueError("a neighbour that there is not")
        self.entries = entries
        for number, entry in enumerate(entries):
            self._place(number, vectors[number], entry, float(visits[number]))
        self._nearest[:count], self._nearest_distance[:count] = nearest, distances

    def _allowed(self, explorations: int) -> int:
        return min(self._capacity, max(_SMALLEST, explorations // self._growth))

    def _distances(self, vector: Vectors) -> Vectors:
        count = len(self)
        squares = self._squares[:count] - 2 * (self._vectors[:count] @ vector) + vector @ vector
        distances: Vectors = np.sqrt(np.maximum(squares, 0))
        return distances

    def _replace(self, number: int, entry: Entry) -> bool:
        """Let a better way lead to a place; the place keeps its vector, from which it is known."""
        known = self.entries[number]
        if not is_better(entry.score, entry.length, known.score, known.length):
            return False
        visits = 0.0 if entry.score > known.score else float(self._visits[number])
        self.entries[number] = entry
        self._place(number, self._vectors[number], entry, visits)
        return True

    def _merge_nearest(self) -> int:
        """Make one state of the two nearest to each other.

        Returns:
            The number that became free.
        """
        one = int(self._nearest_distance[: len(self)].argmin())
        other = int(self._nearest[one])
        leads, lags = sorted(
            (one, other), key=lambda number: (-self._scores[number], self._visits[number], number)
        )
        self._visits[leads] = max(self._visits[leads], self._visits[lags])
        return lags

    def _place(self, number: int, vector: Vectors, entry: Entry, visits: float) -> None:
        self._vectors[number], self._squares[number] = vector, vector @ vector
        self._scores[number], self._visits[number] = entry.score, visits

    def _link(self, number: int) -> None:
        """Find the neighbour of a state, and let it be the neighbour of those it is nearest to."""
        distances = self._find_neighbour(number)
        closer = distances < self._nearest_distance[: len(self)]
        self._nearest[: len(self)][closer] = number
        self._nearest_distance[: len(self)][closer] = distances[closer]

    def _link_again(self, gone: int) -> None:
        """Find new neighbours for the states whose neighbour is gone."""
        for number in np.flatnonzero(self._nearest[: len(self)] == gone).tolist():
            if number != gone:
                self._find_neighbour(number, gone)

    def _find_neighbour(self, number: int, *gone: int) -> Vectors:
        """Find the neighbour of a state among those that are not gone; return all distances."""
        distances = self._distances(self._vectors[number])
        distances[[number, *gone]] = np.inf
        near = int(distances.argmin())
        self._nearest[number], self._nearest_distance[number] = near, distances[near]
        return distances
