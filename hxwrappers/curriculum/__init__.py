"""Curricula through demonstrations: attempts, success table, frontier, tracker, stores."""

from hxwrappers.curriculum.attempt import AttemptSettings
from hxwrappers.curriculum.ray_store import RayStore
from hxwrappers.curriculum.stores import FileStore, LocalStore, TrackerStore
from hxwrappers.curriculum.success_table import FrontierSettings, StartingPoint, next_frontier
from hxwrappers.curriculum.tracker import SuccessTracker

__all__ = [
    "AttemptSettings",
    "FileStore",
    "FrontierSettings",
    "LocalStore",
    "RayStore",
    "StartingPoint",
    "SuccessTracker",
    "TrackerStore",
    "next_frontier",
]
