"""Outcomes of a search: its ways made shorter, and demonstrations of them, verified."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hxwrappers.demos import Demo, DemoRecording
from hxwrappers.errors import DemoError
from hxwrappers.search.cells.archive import Entry, Node, Start
from hxwrappers.search.cells.bursts import Bursts, actions_of
from hxwrappers.search.cells.settings import ExplorationSettings

_BETWEEN_SNAPSHOTS = 32


def shortened(settings: ExplorationSettings, entry: Entry, steps: int, *, kept: int = 0) -> Entry:
    """The way with fewer steps and at least the score, as far as it is found in some steps.

    Stretches of actions are left out and the rest is played: first half of the way, then quarters,
    and so on down to single actions, beginning with the latest, since what comes after a stretch
    that is left out must still fit; and all of it again until nothing can be left out any more. A
    way to the episode's own end still leads there.

    Args:
        settings: What was searched.
        entry: The way.
        steps: Steps of the environment to try with, so that the same way is always found; beside
            them the way itself is played once.
        kept: Actions at its beginning that stay as they are.

    Returns:
        The shortened way, without a snapshot, or `entry` where nothing could be left out.
    """
    env = settings.make_env_with_pictures()
    try:
        way = _Way(Bursts(settings, env), entry)
        before = len(way) + 1
        while len(way) < before and way.steps < steps:
            before, size = len(way), (len(way) - kept) // 2
            while size >= 1 and way.steps < steps:
                at = len(way) - size
                while at >= kept and way.steps < steps:
                    way.leave_out(at, size)
                    at -= size
                size //= 2
        return way.entry()
    finally:
        env.close()


class _Way:
    """The shortest way so far, with states on it to go back to.

    Args:
        bursts: What it is played in.
        entry: The way as it was found.

    Attributes:
        steps: Steps that were taken to try what can be left out.
    """

    def __init__(self, bursts: Bursts, entry: Entry) -> None:
        self._bursts, self._found = bursts, entry
        self.steps = 0
        self._actions = list(bursts.actions.unpack(entry.node.trajectory()))
        self._starts: list[Start | None] = [bursts.start]
        moments = list(
            bursts.play(bursts.start, self._actions, _BETWEEN_SNAPSHOTS, self._starts.append)
        )
        self._end = moments[-1] if moments else None

    def __len__(self) -> int:
        return len(self._actions)

    def entry(self) -> Entry:
        """The way as it is now."""
        end = self._end
        if end is None or end.length >= self._found.length:
            return self._found
        node = Node(None, self._bursts.actions.pack(self._actions))
        return Entry(end.score, end.length, end.lives, node, None)

    def leave_out(self, at: int, size: int) -> bool:
        """Leave actions out for good if what is left leads as far."""
        end = self._end
        assert end is not None, "nothing can be left out of no actions"
        number = at // _BETWEEN_SNAPSHOTS
        while (start := self._starts[number]) is None:
            number -= 1
        left = self._actions[:at] + self._actions[at + size :]
        starts = self._starts[: number + 1]
        rest = left[number * _BETWEEN_SNAPSHOTS :]
        last = None
        for moment in self._bursts.play(start, rest, _BETWEEN_SNAPSHOTS, starts.append):
            last = moment
        self.steps += 0 if last is None else last.length - start.length
        reached = (
            last is not None
            and last.score >= end.score
            and last.length < end.length
            and (last.terminated or not end.terminated)
            and not (last.fell or last.truncated)
        )
        if reached:
            self._actions, self._end, self._starts = left, last, starts
        return reached


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
