"""The switch `training`, of wrappers that have none of their own."""

from __future__ import annotations

from typing import Any

__all__ = ["HandsTrainingOn"]


class HandsTrainingOn:
    """Reads and sets `training` where it is: at the nearest wrapper inside that has it.

    Without this, setting it outside would only make an attribute that nobody looks at.
    """

    @property
    def training(self) -> bool:
        """That of the nearest wrapper inside which has one; there is none where none has."""
        return bool(_owner(self).training)

    @training.setter
    def training(self, value: bool) -> None:
        _owner(self).training = value


def _owner(wrapper: Any) -> Any:
    layer = wrapper
    # What a layer has itself is asked, since Stable-Baselines3's wrappers also answer for those
    # inside, but do not set there.
    while (layer := vars(layer).get("env", vars(layer).get("venv"))) is not None:
        if "training" in dir(layer):
            return layer
    raise AttributeError(
        f"{type(wrapper).__name__!r} has no attribute 'training', since nothing inside it has one."
    )
