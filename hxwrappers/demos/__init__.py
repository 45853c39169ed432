"""Demonstrations: what they are, how they are made, kept, checked and returned to."""

from hxwrappers.demos.attempt import Attempt, AttemptSettings, Course, Verdict
from hxwrappers.demos.demo import Demo, concatenate
from hxwrappers.demos.environment import make_environment
from hxwrappers.demos.frontier import FrontierSettings, next_frontier
from hxwrappers.demos.journal import JournalWriter, recover_demos
from hxwrappers.demos.metadata import DemoMetadata
from hxwrappers.demos.player import DemoPlayer, Difference, Transition, Verification
from hxwrappers.demos.ray_store import RayStore
from hxwrappers.demos.recording import DemoRecording
from hxwrappers.demos.shipped import shipped, shipped_names
from hxwrappers.demos.snapshots import (
    Snapshot,
    Snapshotter,
    find_snapshotter,
    first_inexact_step,
)
from hxwrappers.demos.stores import FileStore, LocalStore, TrackerStore
from hxwrappers.demos.success_table import StartingPoint
from hxwrappers.demos.tracker import SuccessTracker

__all__ = [
    "Attempt",
    "AttemptSettings",
    "Course",
    "Demo",
    "DemoMetadata",
    "DemoPlayer",
    "DemoRecording",
    "Difference",
    "FileStore",
    "FrontierSettings",
    "JournalWriter",
    "LocalStore",
    "RayStore",
    "Snapshot",
    "Snapshotter",
    "StartingPoint",
    "SuccessTracker",
    "TrackerStore",
    "Transition",
    "Verdict",
    "Verification",
    "concatenate",
    "find_snapshotter",
    "first_inexact_step",
    "make_environment",
    "next_frontier",
    "recover_demos",
    "shipped",
    "shipped_names",
]
