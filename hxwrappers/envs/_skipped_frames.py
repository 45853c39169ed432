"""Frame skip for Atari games that draws the screen only of the frames that are looked at."""

from __future__ import annotations

from typing import Any, SupportsFloat

from gymnasium.wrappers import (
    AtariPreprocessing,
    OrderEnforcing,
    PassiveEnvChecker,
    RecordEpisodeStatistics,
    TimeLimit,
)

from hxwrappers.snapshots.base import layers_of
from hxwrappers.wrappers import DemoResetCurriculum

_BLIND = (
    DemoResetCurriculum,
    OrderEnforcing,
    PassiveEnvChecker,
    RecordEpisodeStatistics,
    TimeLimit,
)
"""Wrappers that hand observations through and look at none."""


class SkippedFrames(AtariPreprocessing):
    """`gymnasium.wrappers.AtariPreprocessing`, which makes no picture of a frame that it drops.

    That wrapper asks the emulator itself for the grey screens of the last two frames, while the
    game makes a picture in colours of every frame, a fifth of the time of a step. Here the game
    hands out its RAM meanwhile, which costs nothing, wherever nothing between the two looks at it.
    Observations, rewards, ends and infos are the same.
    """

    unrestored = ("_in_ram",)
    _in_ram: bool | None = None

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play the frames of a step."""
        game: Any = self.unwrapped
        shown = game._obs_type
        if self._nobody_looks():
            game._obs_type = "ram"
        try:
            return super().step(action)
        finally:
            game._obs_type = shown

    def _nobody_looks(self) -> bool:
        """Whether the layers between hand observations through unseen."""
        if self._in_ram is None:
            layers = layers_of(self.env)
            if not all(getattr(layer, "checked_step", True) for layer in layers):
                return False  # Gymnasium's checker has yet to see its first observation
            game = self.unwrapped
            self._in_ram = type(game).__module__ == "ale_py.env" and all(
                isinstance(layer, _BLIND) for layer in layers
            )
        return self._in_ram
