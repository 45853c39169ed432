"""Recordings: the core behind every way to make a demonstration."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from hxwrappers.demos.demo import Demo
from hxwrappers.demos.metadata import (
    DemoMetadata,
    describe_environment,
    holds_numbers,
    replay_dtype,
    smallest_actions,
    versions,
)
from hxwrappers.demos.player import DemoPlayer, own_reward
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.snapshots import Snapshot, Snapshotter, find_snapshotter
from hxwrappers.snapshots.store import SnapshotLog

if TYPE_CHECKING:
    from hxwrappers.demos.journal import JournalWriter


class DemoRecording:
    """Records the run of an environment, with snapshots to go back to.

    It steps the environment itself (`reset`, `step`, `rewind`). A reset begins a new run; `demo()`
    gives the run up to now at any time.

    What is kept is what was executed. Actions that are arrays, or lists, are taken as arrays of the
    dtype of the run's first action, and at least that of the action space: float64 stays float64.
    Where float32 comes first, float64 is rounded before it is taken.

    Args:
        env: The environment to record. Everything from here inwards is frozen and restored.
        snapshot_every: Steps between two snapshots.
        snapshotter: What freezes `env`; found by itself unless given.
        made_by: What the demonstration's metadata shall say of how it was made.
        journal: Where to write each step at once, so that a killed process loses nothing that was
            taken more than a moment before; none unless given.

    Attributes:
        env: The environment.
        snapshotter: What freezes it.
        saved: For the caller to note that the run up to now was saved; any change clears it.

    Raises:
        InvalidArgumentError: `snapshot_every` is not positive, or the actions are not numbers or
            arrays of them.

    Example:
        >>> import gymnasium as gym
        >>> recording = DemoRecording(gym.make("CliffWalking-v1"))
        >>> _ = recording.reset(seed=0)
        >>> for action in (0, 1, 1, 1):
        ...     _ = recording.step(action)
        >>> int(recording.rewind(2)), len(recording)
        (25, 2)
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        snapshot_every: int = 50,
        snapshotter: Snapshotter | None = None,
        made_by: Mapping[str, Any] | None = None,
        journal: JournalWriter | None = None,
    ) -> None:
        if snapshot_every < 1:
            raise InvalidArgumentError(
                f"snapshot_every is {snapshot_every}, but at least one step is needed."
            )
        if not holds_numbers(env.action_space):
            raise InvalidArgumentError(
                f"A demonstration holds actions that are numbers or arrays of them, but those of "
                f"{env.action_space} are not. Put a wrapper below that makes one of the spaces "
                "Discrete, MultiDiscrete, MultiBinary or Box of it."
            )
        self.env = env
        self.snapshotter = find_snapshotter(env) if snapshotter is None else snapshotter
        self._every = snapshot_every
        self._made_by = dict(made_by or {"tool": "DemoRecording"})
        self._journal = journal
        self._metadata: DemoMetadata | None = None
        self._forget()

    def _forget(self) -> None:
        self.saved = False
        self._actions: list[Any] = []
        self._rewards: list[float] = []
        self._ends: list[tuple[bool, bool]] = []
        self._log = SnapshotLog()
        self._live: dict[int, Snapshot] = {}
        self._seams: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self._actions)

    @property
    def score(self) -> float:
        """The return of the run so far."""
        return float(sum(self._rewards))

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return any(any(end) for end in self._ends[-1:])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and begin a new run.

        Args:
            seed: Passed on and kept in the demonstration.
            options: Passed on and kept in the demonstration.

        Returns:
            The environment's observation and info.
        """
        kept = copy.deepcopy(options)  # environments pop from theirs
        observation, info = self.env.reset(seed=seed, options=options)
        self.snapshotter.on_reset(seed, kept)
        self._begin(seed, kept)
        self._take_snapshot(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step and record it.

        Args:
            action: The action.

        Returns:
            What the environment returned.

        Raises:
            DemoError: The environment was not reset through the recording, or the run has ended.
        """
        if self._metadata is None or self.ended:
            raise DemoError(
                "There is no run to record: it has ended, or has not begun. Call reset first (or "
                "rewind)."
            )
        kept = self._as_kept(action)
        observation, reward, terminated, truncated, info = self.env.step(copy.deepcopy(kept))
        self.snapshotter.on_step(kept)
        self.saved = False
        self._actions.append(kept)
        own = own_reward(reward, info)
        self._rewards.append(own)
        self._ends.append((bool(terminated), bool(truncated)))
        if self._journal is not None:
            self._journal.step(kept, own, bool(terminated), bool(truncated))
        last = self._log.last_step if self.snapshotter.persistent else max(self._live, default=None)
        if not any(self._ends[-1]) and (last is None or len(self) - last >= self._every):
            self._take_snapshot()
        return observation, float(reward), terminated, truncated, info

    def rewind(self, steps: int) -> Any:
        """Go back in time; what came after is forgotten.

        Args:
            steps: How many steps to go back; more than there are goes back to the start.

        Returns:
            The observation at the step gone back to.

        Raises:
            InvalidArgumentError: `steps` is negative.
            SnapshotError: There is neither a snapshot nor a seed to go back to.
        """
        if steps < 0:
            raise InvalidArgumentError(f"Cannot rewind by {steps} steps; give 0 or more.")
        target = max(0, len(self) - steps)
        observation = self.player().restore(target)
        self._cut(target)
        if self._journal is not None:
            self._journal.rewind(target)
        return observation

    def fork(self, step: int) -> Demo:
        """Go back to a step and record another run from there; the journal keeps both.

        Args:
            step: The step to go back to, 0 to `len(recording)`.

        Returns:
            The run up to now, whole.

        Raises:
            InvalidArgumentError: The step is out of range.
            SnapshotError: There is neither a snapshot nor a seed to go back to.

        Example:
            >>> import gymnasium as gym
            >>> recording = DemoRecording(gym.make("CliffWalking-v1"))
            >>> _ = recording.reset(seed=0)
            >>> for action in (0, 1, 1, 1):
            ...     _ = recording.step(action)
            >>> len(recording.fork(1)), len(recording)
            (4, 1)
        """
        if not 0 <= step <= len(self):
            raise InvalidArgumentError(
                f"Step {step} is out of range; the run has steps 0 to {len(self)}."
            )
        player = self.player()
        player.restore(step)
        self._cut(step)
        if self._journal is not None:
            self._journal.fork(step)
        return player.demo

    def player(self) -> DemoPlayer:
        """What goes to any step of the run up to now, in the recording's own environment.

        The run stays as it is: before the next `step` or `rewind`, go to its end again, or `fork`.
        """
        return DemoPlayer(self.demo(), self.env, self.snapshotter, remembered=self._live)

    def resume(self, demo: Demo, step: int | None = None) -> Any:
        """Go on from a demonstration, as if it had been recorded here up to a step.

        Args:
            demo: The demonstration to go on from, made in the same kind of environment.
            step: The step to go on from; the end where None, or the step before where the
                demonstration ends with the episode.

        Returns:
            The observation at that step.

        Raises:
            DemoError: The environment is of another kind than the demonstration's.
        """
        if step is None:
            step = len(demo) - demo.ended
        part = demo.slice(stop=step)
        observation = part.restore(self.env, step, self.snapshotter)
        self._begin(part.metadata.seed, part.metadata.options)
        self._actions = list(part.actions)
        self._rewards = part.rewards.tolist()
        self._ends = list(zip(part.terminations.tolist(), part.truncations.tolist(), strict=True))
        self._log = SnapshotLog(part.snapshots)
        self._seams = part.metadata.seams
        if self._journal is not None:
            self._journal.adopt(part)
        return observation

    def demo(self, **made_by: Any) -> Demo:
        """The run up to now as a demonstration.

        Args:
            **made_by: Entries to add to what the metadata say of how it was made.

        Raises:
            DemoError: No run has begun.
        """
        if self._metadata is None:
            raise DemoError("There is no run yet: call reset first.")
        ends = np.array(self._ends, np.bool_).reshape(-1, 2)
        made = {**self._made_by, **made_by}
        metadata = replace(self._metadata, seams=self._seams, made_by=made)
        return Demo(
            smallest_actions(self._actions, self.env.action_space),
            np.array(self._rewards, np.float64),
            ends[:, 0],
            ends[:, 1],
            metadata,
            self._log.store(),
        )

    def _begin(self, seed: int | None, options: dict[str, Any] | None) -> None:
        self._forget()
        self._metadata = DemoMetadata(
            describe_environment(self.snapshotter),
            seed,
            copy.deepcopy(options),
            self.snapshotter.family,
            versions=versions(),
            made_by=self._made_by,
        )
        if self._journal is not None:
            self._journal.begin(self._metadata)

    def _as_kept(self, action: Any) -> Any:
        """The action in the one dtype of the run, which is how a replay will take it."""
        space = self.env.action_space
        if isinstance(space, gym.spaces.Discrete):
            return copy.deepcopy(action)
        first = np.asarray(self._actions[0] if self._actions else action)
        return np.array(action, replay_dtype(first.dtype, space))

    def _take_snapshot(self, observation: Any = None) -> None:
        snapshotter = self.snapshotter
        if not snapshotter.fast or not snapshotter.exact_now():
            return
        snapshot = snapshotter.snapshot(observation)
        if not snapshotter.persistent:
            self._live[len(self)] = snapshot
            return
        encoded = snapshotter.encode(snapshot)
        self._log.append(len(self), encoded)
        if self._journal is not None:
            self._journal.snapshot(len(self), encoded)

    def _cut(self, target: int) -> None:
        self.saved = False
        del self._actions[target:], self._rewards[target:], self._ends[target:]
        self._log.cut(target)
        self._live = {at: state for at, state in self._live.items() if at <= target}
        self._seams = tuple(seam for seam in self._seams if seam <= target)


def record_actions(
    env: gym.Env[Any, Any],
    actions: Iterable[Any],
    seed: int,
    *,
    options: dict[str, Any] | None = None,
    snapshot_every: int = 50,
) -> Demo:
    """Take actions from a reset with a seed, and make a demonstration of the run.

    Args:
        env: The environment.
        actions: The actions, in their order.
        seed: The seed of the reset.
        options: The options of the reset.
        snapshot_every: Steps between two snapshots.

    Raises:
        InvalidArgumentError: The episode ends before the last action, or an action is none of
            the environment's.

    Example:
        >>> import gymnasium as gym
        >>> env = gym.make("FrozenLake-v1", is_slippery=False)
        >>> demo = record_actions(env, [1, 1, 2, 1, 2, 2], seed=0)
        >>> demo.score, demo.ended
        (1.0, True)
    """
    recording = DemoRecording(
        env, snapshot_every=snapshot_every, made_by={"tool": "record_actions"}
    )
    recording.reset(seed=seed, options=options)
    space = env.action_space
    taken = list(actions)
    for number, action in enumerate(taken):
        if recording.ended:
            raise InvalidArgumentError(
                f"The episode ended after {number} of the {len(taken)} actions. Give those alone, "
                "or the seed with which they were taken."
            )
        own = int(action) if isinstance(space, gym.spaces.Discrete) else np.asarray(action)
        fitting = own if isinstance(own, int) else own.astype(space.dtype)
        if not space.contains(fitting):
            raise InvalidArgumentError(f"Action {number} is {action!r}, which is not in {space}.")
        recording.step(own)
    return recording.demo()
