"""A novelty model, trained on what the search sees, that says which states are worth a turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from hxwrappers.novelty import RNDModel

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
