"""The standard environment stacks: one function for each family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium as gym

from hxwrappers._utils.modules import lazy_names

if TYPE_CHECKING:
    from hxwrappers.envs.atari import ATARI_PRESETS, AtariSettings, make_atari
    from hxwrappers.envs.atari_wrappers import RoomTracker
    from hxwrappers.envs.demo_views import View, views_along
    from hxwrappers.envs.minigrid import FixedLevel, GridObservation, make_minigrid
    from hxwrappers.envs.procgen import PROCGEN_PRESETS, ProcgenSettings, make_procgen
    from hxwrappers.envs.procgen_env import ProcgenEnv, ProcgenVectorEnv
    from hxwrappers.envs.recipes import make_from_recipe, make_vector

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hxwrappers.envs.atari": ["ATARI_PRESETS", "AtariSettings", "make_atari"],
        "hxwrappers.envs.atari_wrappers": ["RoomTracker"],
        "hxwrappers.envs.demo_views": ["View", "views_along"],
        "hxwrappers.envs.minigrid": ["FixedLevel", "GridObservation", "make_minigrid"],
        "hxwrappers.envs.procgen": ["PROCGEN_PRESETS", "ProcgenSettings", "make_procgen"],
        "hxwrappers.envs.procgen_env": ["ProcgenEnv", "ProcgenVectorEnv"],
        "hxwrappers.envs.recipes": ["make_from_recipe", "make_vector"],
    },
)

gym.register(
    "hxwrappers/Procgen-v0",
    entry_point="hxwrappers.envs.procgen_env:ProcgenEnv",
    vector_entry_point="hxwrappers.envs.procgen_env:ProcgenVectorEnv",
)
