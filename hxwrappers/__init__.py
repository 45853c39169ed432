"""Gymnasium wrappers for hard-exploration reinforcement learning."""

__version__ = "0.1.0"
