"""A demonstration: a recorded run that can be returned to at any step; those of the library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.demos.file import read_demo_file, write_demo_file
from hxwrappers.demos.metadata import DemoMetadata
from hxwrappers.demos.player import DemoPlayer, Transition, Verification
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.snapshots.store import SnapshotLog, SnapshotStore

if TYPE_CHECKING:
    from hxwrappers.snapshots import Snapshot, Snapshotter


_UNPACKED = 512


@dataclass(frozen=True, eq=False)
class Demo:
    """A recorded run: actions, what they gave, and snapshots to return to.

    Step `t` of a demonstration is the moment after `t` actions: step 0 is the reset, step
    `len(demo)` the end.

    Attributes:
        actions: The actions, `(T, ...)`, in the dtype of the action space, a smaller one, or the
            wider one in which they were taken.
        rewards: The reward of each action, `float64`, `(T,)`.
        terminations: Whether each action ended the episode, `bool`, `(T,)`.
        truncations: Whether each action cut the episode off, `bool`, `(T,)`.
        metadata: Where and how the run was made.
        snapshots: Frozen states by step; empty where the environment is replayed from its seed.

    Raises:
        DemoError: The arrays do not fit together.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers.demos import DemoRecording
        >>> env = gym.make("FrozenLake-v1", is_slippery=False)
        >>> recording = DemoRecording(env)
        >>> _ = recording.reset(seed=0)
        >>> for action in (1, 1, 2, 1, 2, 2):
        ...     _ = recording.step(action)
        >>> demo = recording.demo()
        >>> len(demo), demo.score, bool(demo.terminations[-1])
        (6, 1.0, True)
        >>> int(demo.restore(env, 3))
        9
        >>> demo.verify(env).ok
        True
    """

    actions: npt.NDArray[Any]
    rewards: npt.NDArray[np.float64]
    terminations: npt.NDArray[np.bool_]
    truncations: npt.NDArray[np.bool_]
    metadata: DemoMetadata
    snapshots: SnapshotStore
    _players: dict[str, DemoPlayer] = field(default_factory=dict, init=False, repr=False)
    _unpacked: dict[object, Any] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_players": {}, "_unpacked": {}}

    def __post_init__(self) -> None:
        count = len(self.actions) if self.actions.ndim else -1
        for name, array, dtype in (
            ("rewards", self.rewards, np.float64),
            ("terminations", self.terminations, np.bool_),
            ("truncations", self.truncations, np.bool_),
        ):
            if array.shape != (count,) or array.dtype != dtype:
                raise DemoError(
                    f"The demonstration has {count} actions, but {name} of shape {array.shape} and "
                    f"dtype {array.dtype}; ({count},) of {np.dtype(dtype)} was expected."
                )
        if not np.isfinite(self.rewards).all():
            raise DemoError("The demonstration has rewards that are not finite; it is damaged.")
        if len(self.snapshots) and self.snapshots.steps[-1] > count:
            raise DemoError(
                f"The demonstration has a snapshot at step {self.snapshots.steps[-1]}, but only "
                f"{count} actions; it is damaged."
            )
        missing = set(self.metadata.seams) - set(self.snapshots.steps.tolist())
        if missing:
            raise DemoError(
                "The demonstration goes on from stored snapshots at its seams, but there are none "
                f"at the steps {sorted(missing)[:5]}."
            )

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def score(self) -> float:
        """The sum of all rewards."""
        return float(self.returns()[-1])

    @property
    def ended(self) -> bool:
        """Whether the run ends with the episode's end."""
        return bool(len(self) and (self.terminations[-1] or self.truncations[-1]))

    def returns(self) -> npt.NDArray[np.float64]:
        """The return so far at every step, `(T + 1,)`, from 0 to the score."""
        return np.concatenate([np.zeros(1), np.cumsum(self.rewards)])

    def step_of_reward(self, number: int = 1) -> int:
        """The step right after the `number`-th positive reward, counting from 1.

        Raises:
            InvalidArgumentError: There are fewer positive rewards.
        """
        steps = np.flatnonzero(self.rewards > 0) + 1
        if not 1 <= number <= len(steps):
            raise InvalidArgumentError(
                f"The demonstration has {len(steps)} positive rewards; number {number} was asked "
                "for. Numbers start at 1."
            )
        return int(steps[number - 1])

    def step_of_return(self, value: float) -> int:
        """The first step at which the return so far reaches `value`.

        Raises:
            InvalidArgumentError: It never does.
        """
        reached = np.flatnonzero(self.returns() >= value)
        if not len(reached):
            raise InvalidArgumentError(
                f"The demonstration never reaches a return of {value}; its highest is "
                f"{self.returns().max()}."
            )
        return int(reached[0])

    def slice(
        self,
        *,
        stop: int | None = None,
        stop_at_return: float | None = None,
        stop_at_reward: int | None = None,
    ) -> Demo:
        """The beginning of the demonstration.

        Args:
            stop: The step to stop at; negative counts from the end.
            stop_at_return: Stop where the return so far first reaches this.
            stop_at_reward: Stop right after this positive reward, 1 for the first ("up to the
                first key").

        Raises:
            InvalidArgumentError: None or several of the three are given, or out of range.
        """
        given = [value for value in (stop, stop_at_return, stop_at_reward) if value is not None]
        if len(given) != 1:
            raise InvalidArgumentError(
                "Give exactly one of stop, stop_at_return and stop_at_reward."
            )
        if stop_at_return is not None:
            stop = self.step_of_return(stop_at_return)
        elif stop_at_reward is not None:
            stop = self.step_of_reward(stop_at_reward)
        assert stop is not None
        stop = self._checked_step(stop + len(self) if stop < 0 else stop)
        seams = tuple(seam for seam in self.metadata.seams if seam <= stop)
        return Demo(
            self.actions[:stop],
            self.rewards[:stop],
            self.terminations[:stop],
            self.truncations[:stop],
            self.metadata.with_seams(seams),
            self.snapshots.up_to(stop),
        )

    def restore(
        self, env: gym.Env[Any, Any], step: int, snapshotter: Snapshotter | None = None
    ) -> Any:
        """Bring an environment to a step of the demonstration.

        The nearest snapshot before the step is restored and the actions since then are taken, so
        that the observation, and what the wrappers keep of earlier ones, are those of the
        recording.

        Args:
            env: The environment, at the level at which the demonstration was recorded.
            step: The step to go to, 0 to `len(demo)`.
            snapshotter: What freezes `env`; found by itself unless given.

        Returns:
            The observation at that step.

        Raises:
            DemoError: The environment is of another kind than the recording's.
            SnapshotError: A snapshot is damaged, or there is neither snapshot nor seed.
            InvalidArgumentError: The step is out of range.
        """
        return self.player(env, snapshotter).restore(self._checked_step(step))

    def replay(
        self,
        env: gym.Env[Any, Any],
        start: int = 0,
        stop: int | None = None,
        snapshotter: Snapshotter | None = None,
    ) -> Iterator[Transition]:
        """Restore a step and take the demonstration's actions from there on.

        Args:
            env: The environment, at the level at which the demonstration was recorded.
            start: The step to begin at.
            stop: The step to stop at; the end where None.
            snapshotter: What freezes `env`; found by itself unless given.

        Yields:
            What each action gave.
        """
        last = len(self) if stop is None else self._checked_step(stop)
        return self.player(env, snapshotter).replay(self._checked_step(start), last)

    def verify(
        self, env: gym.Env[Any, Any], snapshotter: Snapshotter | None = None
    ) -> Verification:
        """Replay the demonstration from every snapshot and compare with the recording.

        Rewards and ends are compared at every step, and the state at every snapshot.

        Args:
            env: The environment, at the level at which the demonstration was recorded.
            snapshotter: What freezes `env`; found by itself unless given.

        Returns:
            Whether all is the same, and otherwise the first step that differs.

        Raises:
            DemoError: The environment is of another kind than the recording's.
            SnapshotError: A snapshot is damaged, or there is neither snapshot nor seed.
        """
        return self.player(env, snapshotter).verify()

    def player(self, env: gym.Env[Any, Any], snapshotter: Snapshotter | None = None) -> DemoPlayer:
        """What replays this demonstration in one environment; the last one is remembered.

        Raises:
            DemoError: The environment is of another kind than the recording's.
        """
        last = self._players.get("last")
        same = last is not None and last.env is env
        if last is None or not same or snapshotter not in (None, last.snapshotter):
            last = self._players["last"] = DemoPlayer(self, env, snapshotter)
        return last

    def unpacked(self, key: object, unpack: Callable[[], Snapshot]) -> Snapshot:
        """A snapshot that was unpacked before, or is now; the last 512 are remembered."""
        found = self._unpacked.get(key)
        if found is None:
            found = unpack()
            if len(self._unpacked) >= _UNPACKED:
                self._unpacked.pop(next(iter(self._unpacked)), None)
            self._unpacked[key] = found
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the demonstration to a file, atomically; see `hxwrappers.demos.file`.

        Args:
            path: Where the file shall be, by convention with the ending `.npz`.

        Raises:
            DemoError: The metadata are no JSON values or the actions no plain array.
            OSError: The folder cannot be written to.
        """
        write_demo_file(
            path,
            {
                "actions": self.actions,
                "rewards": self.rewards,
                "terminations": self.terminations,
                "truncations": self.truncations,
                "snapshot_steps": self.snapshots.steps,
                "snapshot_offsets": self.snapshots.offsets,
                "snapshot_dictionary": np.frombuffer(self.snapshots.dictionary, np.uint8),
                "snapshot_data": np.frombuffer(self.snapshots.data, np.uint8),
            },
            self.metadata.to_json(steps=len(self), score=self.score),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Demo:
        """Read a demonstration from a file, without executing anything in it.

        Args:
            path: A file that `save` wrote.

        Raises:
            DemoError: The file is missing, truncated, damaged, hostile, no demonstration, or
                of a newer format.
        """
        arrays, text = read_demo_file(path)
        try:
            return cls(
                arrays["actions"],
                arrays["rewards"],
                arrays["terminations"],
                arrays["truncations"],
                DemoMetadata.from_json(text),
                SnapshotStore(
                    arrays["snapshot_steps"],
                    arrays["snapshot_dictionary"].tobytes(),
                    arrays["snapshot_offsets"],
                    arrays["snapshot_data"].tobytes(),
                ),
            )
        except DemoError as error:
            raise DemoError(f"{os.fspath(path)}: {error}") from error

    def _checked_step(self, step: int) -> int:
        if not 0 <= step <= len(self):
            raise InvalidArgumentError(
                f"Step {step} is out of range; the demonstration has steps 0 to {len(self)}."
            )
        return int(step)


def concatenate(first: Demo, *rest: Demo) -> Demo:
    """Join demonstrations end to end.

    Where a later one has a snapshot of its start, the joint is a seam: a restore or a replay goes
    on from that snapshot. Where it has none, its actions are played on from the state before; ask
    `verify` whether that gives what was recorded.

    Args:
        first: The demonstration to begin with.
        *rest: The others, made in the same environment.

    Raises:
        DemoError: They were made in different environments.
        DemoError: One that is not the last ends with the episode's end.
    """
    joined = first
    for demo in rest:
        joined = _join(joined, demo)
    return joined


def _join(first: Demo, second: Demo) -> Demo:
    one, other = first.metadata, second.metadata
    differing = sorted(
        key
        for key in {*one.env, *other.env} - {"spec", "wrapper_arguments"}
        if one.env.get(key) != other.env.get(key)
    )
    if differing or (len(second.snapshots) and one.family != other.family):
        raise DemoError(
            "The demonstrations cannot be joined, since they were made in different environments; "
            f"they differ in {', '.join(differing) or 'the family of their snapshots'}."
        )
    if first.ended:
        raise DemoError(
            "The demonstration to go on from ends with the episode's end. Cut it off before that, "
            "with slice(stop=-1), to join another one to it."
        )
    at = len(first)
    starts_with_snapshot = second.snapshots.last_at_or_before(0) is not None
    log = SnapshotLog(first.snapshots.up_to(at - 1 if starts_with_snapshot else at))
    for index, step in enumerate(second.snapshots.steps.tolist()):
        log.append(at + step, second.snapshots.get(index))
    seams = (*one.seams, *((at,) if starts_with_snapshot else ()))
    seams += tuple(at + seam for seam in other.seams if seam > 0)
    return Demo(
        np.concatenate([first.actions, second.actions]),
        np.concatenate([first.rewards, second.rewards]),
        np.concatenate([first.terminations, second.terminations]),
        np.concatenate([first.truncations, second.truncations]),
        one.with_seams(tuple(seam for seam in seams if seam > 0)),
        log.store(),
    )


_FOLDER = Path(__file__).parent / "data"


def shipped_names() -> list[str]:
    """The names of the demonstrations that come with the library.

    Example:
        >>> "montezuma-first-key" in shipped_names()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.npz"))


def shipped_path(name: str) -> Path:
    """The file of a demonstration that comes with the library.

    Args:
        name: One of `shipped_names()`.

    Raises:
        InvalidArgumentError: There is no such demonstration.

    Example:
        >>> shipped_path("montezuma-long").name
        'montezuma-long.npz'
    """
    if name not in shipped_names():
        raise InvalidArgumentError(
            f"There is no shipped demonstration {name!r}; there are {', '.join(shipped_names())}."
        )
    return _FOLDER / f"{name}.npz"


def shipped(name: str) -> Demo:
    """Load a demonstration that comes with the library.

    All are of Montezuma's Revenge, frame by frame, without sticky actions, and verified:
    `"montezuma-first-key"` ends with the first key (100 points), `"montezuma-first-room"` with the
    step out of the first room, and `"montezuma-long"` is the highest score of a search of five
    minutes. The command that found each is in `demo.metadata.made_by`.

    Args:
        name: One of `shipped_names()`.

    Raises:
        InvalidArgumentError: There is no such demonstration.

    Example:
        >>> demo = shipped("montezuma-first-key")
        >>> demo.score
        100.0
    """
    return Demo.load(shipped_path(name))
