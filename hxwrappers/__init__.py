"""Gymnasium wrappers for hard-exploration reinforcement learning."""

from hxwrappers import vector
from hxwrappers.wrappers import (
    CNDBonus,
    DemoRecorder,
    DemoResetCurriculum,
    RNDBonus,
    SkipReplayedSteps,
    StickyActions,
)

__all__ = [
    "CNDBonus",
    "DemoRecorder",
    "DemoResetCurriculum",
    "RNDBonus",
    "SkipReplayedSteps",
    "StickyActions",
    "vector",
]

__version__ = "0.1.0"
