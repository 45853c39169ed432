"""Shelf: the wrappers for `gymnasium.vector.VectorEnv`, under the same names."""

from hxwrappers.vector.cnd_bonus import CNDBonus
from hxwrappers.vector.rnd_bonus import RNDBonus

__all__ = ["CNDBonus", "RNDBonus"]
