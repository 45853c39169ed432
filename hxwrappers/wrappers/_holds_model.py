"""What every wrapper around a learned model offers, whatever environment it wraps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hxwrappers.novelty.model import NoveltyModel

__all__ = ["HoldsModel"]


class HoldsModel:
    """Freezing and persistence of a wrapper's model."""

    model: NoveltyModel

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
