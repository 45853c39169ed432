"""The standard environment stacks: one function for each family."""

from hxwrappers.envs.atari import ATARI_PRESETS, AtariSettings, make_atari
from hxwrappers.envs.minigrid import FixedLevel, GridObservation, make_minigrid
from hxwrappers.envs.named import make_vector
from hxwrappers.envs.procgen import PROCGEN_PRESETS, ProcgenSettings, make_procgen
from hxwrappers.envs.procgen_env import ProcgenEnv, ProcgenVectorEnv
from hxwrappers.envs.recipes import make_from_recipe
from hxwrappers.envs.rooms import RoomTracker
from hxwrappers.envs.views import View, views_along

__all__ = [
    "ATARI_PRESETS",
    "PROCGEN_PRESETS",
    "AtariSettings",
    "FixedLevel",
    "GridObservation",
    "ProcgenEnv",
    "ProcgenSettings",
    "ProcgenVectorEnv",
    "RoomTracker",
    "View",
    "make_atari",
    "make_from_recipe",
    "make_minigrid",
    "make_procgen",
    "make_vector",
    "views_along",
]
