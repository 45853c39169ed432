"""Guides of a search: groups of states that share the turns, and a novelty model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from hxwrappers.novelty import RNDModel
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


_BATCH = 512
_SEEN = 16_384
_REFRESH = 25
_SEEDS = 1 << 31


class NoveltyGuide:
    """Random network distillation of what the search sees (`hxwrappers.novelty.RNDModel`).

    After each exchange with a worker the model is trained on 512 pictures, half of them new and
    half from the last 16,384. The errors of the states kept are found again every 25 trainings.

    Args:
        space: The space of the pictures or numbers.
        power: Power of the error in a state's weight; with 0 there is no model.
        capacity: States at most.
        seed: Seed of the model.
    """

    def __init__(self, space: spaces.Box, power: float, capacity: int, seed: int) -> None:
        self._power = power
        if power == 0:
            return
        self._model = RNDModel(
            space,
            features=128,
            batch_size=_BATCH,
            train_fraction=1.0,
            normalize_reward=False,
            device="cpu",
            seed=seed % _SEEDS,
        )
        self._errors = np.ones(capacity)
        self._pictures = np.zeros((capacity, *space.shape), space.dtype)
        self._seen = np.zeros((_SEEN, *space.shape), space.dtype)
        self._count, self._trainings = 0, 0

    def weights(self, count: int) -> npt.NDArray[np.float64]:
        """What the novelty of each state counts for, 1 for the most novel one."""
        if self._power == 0:
            return np.ones(count)
        errors = self._errors[:count]
        weights: npt.NDArray[np.float64] = (errors / errors.max()) ** self._power
        return np.maximum(weights, 1e-12)

    def note(self, number: int, picture: npt.NDArray[Any] | None) -> None:
        """Take note of a state that joined the population, or took the place of another."""
        if self._power == 0 or picture is None:
            return
        self._pictures[number] = picture
        self._errors[number] = max(float(self._model.score(picture[None])[0]), 1e-12)

    def learn(self, pictures: npt.NDArray[Any], generator: np.random.Generator) -> None:
        """Train the model on what was seen.

        Args:
            pictures: What is new.
            generator: Draws what it is trained on.
        """
        if self._power == 0:
            return
        places = (self._count + np.arange(len(pictures))) % _SEEN
        self._seen[places] = pictures
        self._count += len(pictures)
        old = generator.integers(0, min(self._count, _SEEN), _BATCH // 2)
        new = generator.integers(0, len(pictures), _BATCH // 2)
        self._model.update(np.concatenate([self._seen[old], pictures[new]]))
        self._trainings += 1
        if self._trainings % _REFRESH == 0:
            self._errors[:] = np.maximum(self._model.score(self._pictures), 1e-12)

    def state_dict(self, count: int) -> dict[str, Any]:
        """The model and what it is trained on.

        Args:
            count: How many states are kept.
        """
        if self._power == 0:
            return {}
        return {
            "model": self._model.state_dict(),
            "errors": torch.from_numpy(self._errors[:count].copy()),
            "pictures": torch.from_numpy(self._pictures[:count].copy()),
            "seen": torch.from_numpy(self._seen[: min(self._count, _SEEN)].copy()),
            "count": self._count,
            "trainings": self._trainings,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become what `state_dict` gave.

        Raises:
            ValueError: It does not fit.
        """
        if self._power == 0:
            return
        self._model.load_state_dict(state["model"])
        for mine, name in (
            (self._errors, "errors"),
            (self._pictures, "pictures"),
            (self._seen, "seen"),
        ):
            its = state[name].numpy()
            mine[: len(its)] = its
        self._count, self._trainings = int(state["count"]), int(state["trainings"])
