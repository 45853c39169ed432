"""Gymnasium wrappers for hard-exploration reinforcement learning."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: PyTorch takes a second, which `hxw --help` can spare."""
    if name not in __all__:
        raise AttributeError(f"module 'hxwrappers' has no attribute {name!r}")
    if name == "vector":
        return importlib.import_module("hxwrappers.vector")
    found = globals()[name] = getattr(importlib.import_module("hxwrappers.wrappers"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
