"""Gymnasium wrappers for hard-exploration reinforcement learning."""

from hxwrappers.wrappers import CNDBonus, RNDBonus

__all__ = ["CNDBonus", "RNDBonus"]

__version__ = "0.1.0"
