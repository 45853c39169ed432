"""Gymnasium wrappers for hard-exploration reinforcement learning."""

from hxwrappers import vector
from hxwrappers.wrappers import StickyActions

__all__ = ["StickyActions", "vector"]
__version__ = "0.1.0"
