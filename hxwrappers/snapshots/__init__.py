"""Snapshots: environments frozen and restored, wrappers included."""

from hxwrappers.snapshots.ale import AleSnapshotter
from hxwrappers.snapshots.base import LayeredSnapshotter, Snapshot, Snapshotter
from hxwrappers.snapshots.exactness import first_inexact_step, first_unrepeated_step
from hxwrappers.snapshots.generic import (
    DeepCopySnapshotter,
    OwnStateSnapshotter,
    ReplaySnapshotter,
    find_snapshotter,
    why_not_copied,
)
from hxwrappers.snapshots.mujoco import MujocoSnapshotter

__all__ = [
    "AleSnapshotter",
    "DeepCopySnapshotter",
    "LayeredSnapshotter",
    "MujocoSnapshotter",
    "OwnStateSnapshotter",
    "ReplaySnapshotter",
    "Snapshot",
    "Snapshotter",
    "find_snapshotter",
    "first_inexact_step",
    "first_unrepeated_step",
    "why_not_copied",
]
