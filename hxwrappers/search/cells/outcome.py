"""Demonstrations made of the trajectories that were found, and known to be right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hxwrappers.demos import Demo, DemoRecording
from hxwrappers.errors import DemoError
from hxwrappers.search.cells.actions import actions_of
from hxwrappers.search.cells.archive import Entry
from hxwrappers.search.cells.settings import ExplorationSettings


def make_demo(
    settings: ExplorationSettings,
    entry: Entry,
    made_by: Mapping[str, Any],
    *,
    snapshot_every: int = 50,
) -> Demo:
    """Play a trajectory from the reset in the environment itself, and verify the recording.

    Args:
        settings: What was searched.
        entry: The trajectory with its score and length.
        made_by: What the metadata shall say of how it was found.
        snapshot_every: Steps between two snapshots.

    Raises:
        DemoError: The play gives another score or length than was found, or the
            recording's replay differs: the environment's snapshots are not exact.
    """
    env = settings.make_env()
    try:
        recording = DemoRecording(env, snapshot_every=snapshot_every, made_by=made_by)
        recording.reset(seed=settings.seed)
        actions = actions_of(env.action_space, settings.env_id)
        for action in actions.unpack(entry.node.trajectory()):
            for _ in range(settings.steps_held):
                if not recording.ended:
                    recording.step(actions.taken(action))
        # Sums of the same rewards in another order may differ in the last digits.
        same = settings.reward is not None or math.isclose(
            recording.score, entry.score, rel_tol=1e-9, abs_tol=1e-9
        )
        if not same or len(recording) != entry.length:
            raise DemoError(
                f"The trajectory was found with score {entry.score:g} in {entry.length} steps, but "
                f"played from the reset it gives {recording.score:g} in {len(recording)}. The "
                f"snapshots of {settings.env_id} are not exact, so nothing was written."
            )
        demo = recording.demo()
        demo.verify(env).raise_if_different()
        return demo
    finally:
        env.close()
