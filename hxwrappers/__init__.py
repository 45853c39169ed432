"""Gymnasium wrappers for hard-exploration reinforcement learning."""

from hxwrappers import vector
from hxwrappers.wrappers import (
    CNDBonus,
    DemoRecorder,
    DemoResetCurriculum,
    FrameInInfo,
    RNDBonus,
    SkipReplayedSteps,
    StickyActions,
    YouTubeImitationReward,
)

__all__ = [
    "CNDBonus",
    "DemoRecorder",
    "DemoResetCurriculum",
    "FrameInInfo",
    "RNDBonus",
    "SkipReplayedSteps",
    "StickyActions",
    "YouTubeImitationReward",
    "vector",
]

__version__ = "0.1.0"
