"""Demonstrations: what they are, how they are made, kept, checked and returned to."""

from hxwrappers.demos.demo import Demo, concatenate
from hxwrappers.demos.environment import make_environment
from hxwrappers.demos.journal import JournalWriter, recover_demos
from hxwrappers.demos.metadata import DemoMetadata
from hxwrappers.demos.player import DemoPlayer, Difference, Transition, Verification
from hxwrappers.demos.recording import DemoRecording
from hxwrappers.demos.shipped import shipped, shipped_names
from hxwrappers.demos.snapshots import (
    Snapshot,
    Snapshotter,
    find_snapshotter,
    first_inexact_step,
)

__all__ = [
    "Demo",
    "DemoMetadata",
    "DemoPlayer",
    "DemoRecording",
    "Difference",
    "JournalWriter",
    "Snapshot",
    "Snapshotter",
    "Transition",
    "Verification",
    "concatenate",
    "find_snapshotter",
    "first_inexact_step",
    "make_environment",
    "recover_demos",
    "shipped",
    "shipped_names",
]
