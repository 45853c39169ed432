"""Gymnasium wrappers for hard-exploration reinforcement learning."""

from hxwrappers import vector
from hxwrappers.wrappers import CNDBonus, DemoRecorder, RNDBonus, StickyActions

__all__ = ["CNDBonus", "DemoRecorder", "RNDBonus", "StickyActions", "vector"]

__version__ = "0.1.0"
