"""Gymnasium wrappers for hard-exploration reinforcement learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hxwrappers._utils.modules import lazy_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hxwrappers.vector": ["vector"],
        "hxwrappers.wrappers": [name for name in __all__ if name != "vector"],
    },
)
