"""The snapshotter for an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from hxwrappers.snapshots.ale import AleSnapshotter
from hxwrappers.snapshots.base import Snapshotter
from hxwrappers.snapshots.generic import DeepCopySnapshotter, OwnStateSnapshotter, ReplaySnapshotter
from hxwrappers.snapshots.mujoco import MujocoSnapshotter

_FAMILIES: tuple[type[Snapshotter], ...] = (
    AleSnapshotter,
    MujocoSnapshotter,
    OwnStateSnapshotter,
    DeepCopySnapshotter,
    ReplaySnapshotter,
)


def find_snapshotter(env: gym.Env[Any, Any]) -> Snapshotter:
    """The snapshotter for an environment: the first family that can freeze it exactly.

    Args:
        env: The outermost environment to freeze; its wrappers are frozen with it.

    Returns:
        In this order, one for ALE, MuJoCo, environments that freeze themselves (Procgen), those
        that can be deep-copied, and otherwise one that replays from the seed.

    Example:
        >>> import gymnasium as gym
        >>> env = gym.make("CartPole-v1")
        >>> _ = env.reset(seed=0)
        >>> snapshotter = find_snapshotter(env)
        >>> frozen = snapshotter.snapshot()
        >>> first = env.step(1)[0]
        >>> snapshotter.restore(frozen)
        >>> bool((env.step(1)[0] == first).all())
        True
    """
    return next(family for family in _FAMILIES if family.supports(env))(env)
