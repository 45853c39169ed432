"""What every wrapper around a learned model offers, whatever environment it wraps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces

from hxwrappers.errors import CheckpointError
from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.novelty.observations import find_box
from hxwrappers.novelty.resolve import resolve_model
from hxwrappers.wrappers._coefficient import Coefficient

__all__ = ["HoldsModel"]


class HoldsModel:
    """Set-up, freezing and persistence of a wrapper's model."""

    model: NoveltyModel
    model_class: ClassVar[type[NoveltyModel]]
    coefficient = Coefficient()
    """Scale of the bonus in the reward; can be changed at any time."""

    def _hold(
        self,
        model: NoveltyModel | str | os.PathLike[str] | None,
        coefficient: float,
        space: spaces.Space[Any],
        observation_key: str | None,
        settings: Mapping[str, Any],
        num_envs: int,
    ) -> None:
        """Set up coefficient, part of the observation, model and streams, for any kind of env."""
        self.coefficient = coefficient
        part, self._key = find_box(space, observation_key)
        self.model = resolve_model(self.model_class, model, part, settings)
        self._owns_model = model is not self.model
        self._training = True
        self._streams = self.model.open_streams(num_envs)
        self._previous: np.ndarray | None = None

    @property
    def training(self) -> bool:
        """Whether the model learns from these environments; set it to False to only score them.

        Other wrappers that share the model go on teaching it. A model that is frozen itself, by
        its own `training`, learns from none of them.
        """
        return self._training and self.model.training

    @training.setter
    def training(self, value: bool) -> None:
        self._training = value

    def _observe(
        self, observations: np.ndarray, streams: np.ndarray, previous: np.ndarray | None
    ) -> np.ndarray:
        """The bonuses of the observations that steps led to, learned from unless frozen."""
        if not self.training:
            return self.model.bonus(observations)
        return self.model.observe(observations, streams, previous)

    def state_dict(self) -> dict[str, Any]:
        """The model, with everything learned and counted, and what it needs to go on."""
        state: dict[str, Any] = {"model": self.model.state_dict()}
        if self.model.uses_previous and self._previous is not None:
            state["previous"] = torch.tensor(self._previous)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; the observations before the next step only if they fit.

        Raises:
            CheckpointError: The state is of another model, or incomplete.
        """
        if "model" not in state:
            raise CheckpointError(
                f"This is no state of a {type(self).__name__}: it has {sorted(state)}, but no "
                "'model'. Pass what state_dict() returned."
            )
        self.model.load_state_dict(state["model"])
        previous = state.get("previous")
        if isinstance(previous, torch.Tensor) and len(previous) == len(self._streams):
            self._previous = previous.numpy().copy()
