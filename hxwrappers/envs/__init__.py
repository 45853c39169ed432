"""The standard environment stacks: one function for each family."""

from hxwrappers.envs.atari import ATARI_PRESETS, AtariSettings, make_atari
from hxwrappers.envs.rooms import ROOM_BYTES, RoomTracker

__all__ = ["ATARI_PRESETS", "ROOM_BYTES", "AtariSettings", "RoomTracker", "make_atari"]
