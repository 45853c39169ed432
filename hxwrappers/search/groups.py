"""Groups of states that share the turns: those of one scene and one score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hxwrappers.search.cells.archive import draw

_LEVELS = 12
_SCENES = 256

Vectors = npt.NDArray[np.float32]


class Groups:
    """Shares turns among groups of states, so that no group takes them all by its number.

    A scene is what lies within a distance of a first state of it, by the part of the vectors that
    shows the scene (a room of a game looks alike from wherever in it one stands, and unlike the
    next). A group is the states of one scene and one score, of the twelve highest scores; the fewer
    turns it had, the likelier is its next one (`1 / sqrt(turns + 1)`).

    Args:
        part: The part of the vectors that shows the scene; an empty one makes one scene of all.
        distance: How far from its first state a scene goes.
        capacity: States at most.
    """

    def __init__(self, part: slice, distance: float, capacity: int) -> None:
        self._part, self._distance = part, distance
        self._leaders: list[Vectors] = []
        self._scenes = np.zeros(capacity, np.int64)
        self._turns: dict[tuple[int, float], int] = {}

    def __len__(self) -> int:
        """How many scenes there are."""
        return max(len(self._leaders), 1)

    def note(self, number: int, vector: Vectors) -> None:
        """Take note of the scene of a state that joined, or took the place of another."""
        part = vector[self._part]
        if not len(part):
            return
        if self._leaders:
            distances = np.linalg.norm(np.stack(self._leaders) - part, axis=1)
            near = int(distances.argmin())
            if distances[near] <= self._distance or len(self._leaders) == _SCENES:
                self._scenes[number] = near
                return
        self._scenes[number] = len(self._leaders)
        self._leaders.append(part.copy())

    def draw(
        self,
        scores: npt.NDArray[np.float64],
        weights: npt.NDArray[np.float64],
        count: int,
        generator: np.random.Generator,
    ) -> list[int] | None:
        """Draw states, first the group and then one of it by its weight.

        Args:
            scores: The score of each state.
            weights: The weight of each state.
            count: How many to draw.
            generator: Where the random numbers come from.

        Returns:
            Their numbers; None where groups say nothing: there is one alone, or where every step
            earns or costs something, so that a score tells how long the way was and no more.
        """
        levels = np.unique(scores)
        if len(levels) > max(len(scores) / 2, 1):
            return None
        shared = np.flatnonzero(scores >= levels[-_LEVELS:][0])
        groups: dict[tuple[int, float], list[int]] = {}
        for number in shared.tolist():
            groups.setdefault((int(self._scenes[number]), float(scores[number])), []).append(number)
        if len(groups) < 2:
            return None
        self._turns = {group: self._turns.get(group, 0) for group in groups}
        names = list(groups)
        drawn = []
        for _ in range(count):
            shares = 1 / np.sqrt(1 + np.array([self._turns[name] for name in names]))
            name = names[int(draw(shares, 1, generator)[0])]
            self._turns[name] += 1
            there = np.array(groups[name])
            drawn.append(int(there[draw(weights[there], 1, generator)[0]]))
        return drawn

    def state_dict(self, count: int) -> dict[str, Any]:
        """All that it knows of the first `count` states."""
        size = len(self._leaders[0]) if self._leaders else 0
        leaders = np.array(self._leaders, np.float32).reshape(len(self._leaders), size)
        names = list(self._turns)
        return {
            "leaders": torch.from_numpy(leaders),
            "scenes": torch.from_numpy(self._scenes[:count].copy()),
            "turn_scenes": torch.tensor([scene for scene, _ in names], dtype=torch.int64),
            "turn_scores": torch.tensor([score for _, score in names], dtype=torch.float64),
            "turns": torch.tensor(list(self._turns.values()), dtype=torch.int64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become what `state_dict` gave.

        Raises:
            ValueError: It is of other states.
        """
        scenes = state["scenes"].numpy()
        self._leaders = list(state["leaders"].numpy().copy())
        if len(scenes) and not 0 <= scenes.min() <= scenes.max() < len(self):
            raise ValueError("a scene that there is not")
        self._scenes[: len(scenes)] = scenes
        names = zip(state["turn_scenes"].tolist(), state["turn_scores"].tolist(), strict=True)
        self._turns = dict(zip(names, state["turns"].tolist(), strict=True))
