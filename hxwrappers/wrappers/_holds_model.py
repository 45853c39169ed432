"""What every wrapper around a learned model offers, whatever environment it wraps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.novelty.observations import find_box
from hxwrappers.novelty.resolve import resolve_model
from hxwrappers.novelty.settings import require_range

__all__ = ["HoldsModel"]


class HoldsModel:
    """Set-up, freezing and persistence of a wrapper's model."""

    model: NoveltyModel
    model_class: ClassVar[type[NoveltyModel]]

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
        require_range("coefficient", coefficient, minimum=0.0)
        part, self._key = find_box(space, observation_key)
        self.coefficient = coefficient
        self.model = resolve_model(self.model_class, model, part, settings)
        self._owns_model = model is not self.model
        self._streams = self.model.open_streams(num_envs)
        self._previous: np.ndarray | None = None

    @property
    def training(self) -> bool:
        """Whether the model learns; set it to False to freeze the bonus."""
        return self.model.training

    @training.setter
    def training(self, value: bool) -> None:
        self.model.training = value

    def state_dict(self) -> dict[str, Any]:
        """The model, with everything that it has learned and counted."""
        return {"model": self.model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            CheckpointError: The state is of another model, or incomplete.
        """
        self.model.load_state_dict(state["model"])
