"""Snapshots by replay from the seed, for environments that can be frozen in no other way."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym

from hxwrappers.demos.snapshots.base import Snapshot, Snapshotter
from hxwrappers.errors import SnapshotError

__all__ = ["ReplaySnapshotter"]


class ReplaySnapshotter(Snapshotter):
    """Restores by resetting with the same seed and taking the same actions again.

    Exact where `reset(seed=...)` makes the environment reproducible, and slow: a restore takes as
    many steps as the snapshot is deep. It must be told of every reset and step (`saw_reset`,
    `saw_step`), as `DemoRecorder` does.

    Args:
        env: The outermost environment to freeze.
    """

    family: ClassVar[str] = "replay"
    persistent: ClassVar[bool] = False
    fast: ClassVar[bool] = False

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._seed: int | None = None
        self._options: dict[str, Any] | None = None
        self._actions: list[Any] = []

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Every environment, as the last resort."""
        return isinstance(env, gym.Env)

    def saw_reset(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        """Begin a new history."""
        self._seed = seed
        self._options = None if options is None else dict(options)
        self._actions = []

    def saw_step(self, action: Any) -> None:
        """Add an action to the history."""
        self._actions.append(copy.deepcopy(action))

    def snapshot(self, observation: Any = None) -> Snapshot:
        """Remember the history up to now."""
        if self._seed is None:
            raise SnapshotError(
                "This environment can only be restored by replay, which needs a seed. Reset it "
                "with reset(seed=...) and tell the snapshotter so (saw_reset)."
            )
        history = (self._seed, copy.deepcopy(self._options), tuple(self._actions))
        return Snapshot(self.family, history, (), copy.deepcopy(observation))

    def restore(self, snapshot: Snapshot) -> None:
        """Reset with the snapshot's seed and take its actions."""
        self._check_family(snapshot)
        seed, options, actions = snapshot.base
        self.env.reset(seed=seed, options=copy.deepcopy(options))
        self._seed, self._options, self._actions = seed, options, list(actions)
        for action in actions:
            self.env.step(copy.deepcopy(action))
