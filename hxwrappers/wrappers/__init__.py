"""Shelf: the wrappers for one `gymnasium.Env`."""

from hxwrappers.wrappers.cnd_bonus import CNDBonus
from hxwrappers.wrappers.rnd_bonus import RNDBonus

__all__ = ["CNDBonus", "RNDBonus"]
