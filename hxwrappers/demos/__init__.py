"""Demonstrations: what they are, how they are made, kept, checked and returned to."""

from hxwrappers.demos.demo import Demo
from hxwrappers.demos.metadata import DemoMetadata
from hxwrappers.demos.player import DemoPlayer, Difference, Transition, Verification
from hxwrappers.demos.recording import DemoRecording
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
    "Snapshot",
    "Snapshotter",
    "Transition",
    "Verification",
    "find_snapshotter",
    "first_inexact_step",
]
