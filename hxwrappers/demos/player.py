"""Replay of a demonstration in an environment: go to a step, play on, compare."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

import gymnasium as gym
import numpy as np

from hxwrappers._utils.checks import brief
from hxwrappers.demos.metadata import (
    check_same_environment,
    recorded_arguments,
    replay_dtype,
    require_actions_of,
)
from hxwrappers.errors import (
    DemoError,
    HxWrappersError,
    SnapshotError,
)
from hxwrappers.snapshots import Snapshot, Snapshotter, find_snapshotter
from hxwrappers.snapshots.base import COUNTING_LAYERS, Counters, layer_name, layers_of

if TYPE_CHECKING:
    from hxwrappers.demos.demo import Demo


@dataclass(frozen=True)
class Difference:
    """Where a replay left the recording.

    Attributes:
        step: The step after the action that gave something else.
        what: `"reward"`, `"termination"`, `"truncation"` or `"state"`.
        recorded: What was recorded, or None for a state.
        replayed: What the replay gave, or None for a state.
    """

    step: int
    what: str
    recorded: object = None
    replayed: object = None

    def __str__(self) -> str:
        if self.what == "state":
            return f"step {self.step}: the state is not the one recorded"
        return f"step {self.step}: {self.what} {self.replayed}, but {self.recorded} was recorded"


@dataclass(frozen=True)
class Verification:
    """What `Demo.verify` found.

    Attributes:
        steps: How many actions were replayed.
        snapshots: How many snapshots were restored.
        score: The return of the replay up to where it was stopped.
        first_difference: Where the replay left the recording, or None.
    """

    steps: int
    snapshots: int
    score: float
    first_difference: Difference | None = None

    @property
    def ok(self) -> bool:
        """Whether the replay was the recording, step by step."""
        return self.first_difference is None

    def raise_if_different(self) -> None:
        """Raise where the replay differs.

        Raises:
            DemoError: It does; the message names the first step.
        """
        if self.first_difference is not None:
            raise DemoError(
                f"The replay differs from the recording at {self.first_difference}. The "
                "environment, its version or its ROM is not the recording's, or the file was "
                "changed."
            )


_REMEMBER_EVERY = 64
_RECENT = 512
_REPEATS = 8  # of a replay that differs: chance may repeat itself by chance


class Transition(NamedTuple):
    """What one action of a demonstration gave when it was taken again.

    Attributes:
        step: The step that the action led to: 1 for the first action.
        action: The action taken.
        observation: The observation.
        reward: The environment's own reward, without a wrapper's bonus.
        terminated: Whether the episode ended.
        truncated: Whether the episode was cut off.
        info: The environment's further information.
    """

    step: int
    action: Any
    observation: Any
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class DemoPlayer:
    """Replays one demonstration in one environment.

    Environments whose snapshots are not kept in files are replayed from the seed; the states on
    the way are remembered every 64 steps, so that the next restore is fast. So are the states
    before the last 512 steps that were gone to.

    Args:
        demo: The demonstration.
        env: The environment, at the level at which the demonstration was recorded.
        snapshotter: What freezes `env`; found by itself unless given.
        remembered: States of the run by step that are known beside the stored ones.

    Attributes:
        counters: Those of statistics, and of time limits that the demonstration does not know.

    Raises:
        DemoError: The environment is of another kind than the recording's.
    """

    def __init__(
        self,
        demo: Demo,
        env: gym.Env[Any, Any],
        snapshotter: Snapshotter | None = None,
        remembered: Mapping[int, Snapshot] | None = None,
    ) -> None:
        self.demo = demo
        self.env = env
        self.snapshotter = find_snapshotter(env) if snapshotter is None else snapshotter
        check_same_environment(demo.metadata.env, self.snapshotter)
        family = demo.metadata.family
        if len(demo.snapshots) and family != self.snapshotter.family:
            raise DemoError(
                f"The demonstration's snapshots are of the family {family!r}, but this environment "
                f"is frozen by {self.snapshotter.family!r}. Give the snapshotter that fits."
            )
        require_actions_of(env.action_space, demo.actions)
        self.counters = Counters(_unknown(demo.metadata.env, env))
        if not _was_reset(env):
            self._begin_episode()
        self.counters.keep()
        self._seams = frozenset(demo.metadata.seams)
        self._remembered = dict(remembered or {})
        self._recent: dict[int, Snapshot] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_recent": {}}  # as large as pictures are, and soon made

    def restore(self, step: int) -> Any:
        """Go to a step; see `Demo.restore`."""
        if step == 0:
            return self._restore_start()
        start = self._go_before(step)
        with self.snapshotter.hidden_from_env():
            for transition in self._play(start, step - 1):
                if transition.step == step - 1:
                    self._keep(step - 1)
        (last,) = self._play(step - 1, step)
        return last.observation

    def replay(self, start: int, stop: int) -> Iterator[Transition]:
        """Go to a step and take the demonstration's actions; see `Demo.replay`."""
        self.restore(start)
        yield from self._play(start, stop)

    def verify(self, progress: Callable[[int], object] | None = None) -> Verification:
        """Replay from every snapshot and compare; see `Demo.verify`.

        Args:
            progress: Called with the number of steps replayed, for each.
        """
        store = self.demo.snapshots
        bounds = [0, *(step for step in store.steps.tolist() if step > 0), len(self.demo)]
        steps, score = 0, 0.0
        for start, stop in pairwise(bounds):
            self._go_before(start + 1)
            with self.snapshotter.hidden_from_env():
                for transition in self._play(start, stop, mend_seams=False):
                    steps += 1
                    score += transition.reward
                    if progress is not None:
                        progress(steps)
                    difference = self._compare(transition)
                    if difference is not None:
                        return Verification(steps, len(store), score, difference)
            index = store.last_at_or_before(stop)
            if index is not None and store.steps[index] == stop and not self._is_reached(index):
                return Verification(steps, len(store), score, Difference(stop, "state"))
        return Verification(steps, len(store), score)

    def require_replay(self) -> None:
        """Check that the demonstration comes to the same here as when recorded.

        The same actions from the same seed lead elsewhere in an environment that was made with
        other arguments. With snapshots it is played to the second of them, which shows whether
        rewards are weighed as they were. Time limits may differ.

        Raises:
            DemoError: It comes to something else.
        """
        later = (step for step in self.demo.snapshots.steps.tolist() if step > 0)
        stop = next(later, len(self.demo))
        difference, first = self._try(stop)
        if difference is None:
            return
        if any(self._try(stop)[1] != first for _ in range(_REPEATS)):
            cause = (
                "It does not even repeat itself: the same actions from the same start give "
                "something else each time, so there is chance in it that reset(seed=) does not "
                "fix, such as random or numpy.random. Let it draw from self.np_random."
            )
        else:
            spec = self.demo.metadata.env.get("spec")
            arguments = spec.get("kwargs") if isinstance(spec, dict) else None
            identity = (
                "It was recorded with arguments that the file does not hold"
                if arguments is None
                else f"It was recorded with the arguments {brief(repr(arguments))}"
            )
            cause = f"{identity}; make the environment with the same, and the same version of it."
        raise DemoError(
            f"The demonstration does not replay in this environment: {difference}. {cause}"
        )

    def _try(self, stop: int) -> tuple[Difference | None, list[tuple[float, bool]]]:
        """Play the beginning: the first difference, and all that came up to there."""
        self._go_before(1)
        seen = []
        with self.snapshotter.hidden_from_env():
            for transition in self._play(0, stop):
                seen.append((transition.reward, transition.terminated))
                difference = self._compare(transition)
                if difference is not None and difference.what != "truncation":
                    return difference, seen
        return None, seen

    def _compare(self, transition: Transition) -> Difference | None:
        at = transition.step - 1
        for what, recorded, replayed in (
            ("reward", float(self.demo.rewards[at]), transition.reward),
            ("termination", bool(self.demo.terminations[at]), transition.terminated),
            ("truncation", bool(self.demo.truncations[at]), transition.truncated),
        ):
            if recorded != replayed:
                return Difference(transition.step, what, recorded, replayed)
        return None

    def _is_reached(self, index: int) -> bool:
        if int(self.demo.snapshots.steps[index]) in self._seams:
            return True
        snapshotter = self.snapshotter
        recorded = snapshotter.fingerprint(self._stored(index))
        return snapshotter.exact_now() and recorded == snapshotter.fingerprint(
            snapshotter.snapshot()
        )

    def _restore_start(self) -> Any:
        first = self.demo.snapshots.last_at_or_before(0)
        if first is not None:
            snapshot = self._stored(first)
        elif 0 in self._remembered:
            snapshot = self._remembered[0]
        else:
            return self._reset()
        observation = snapshot.observation
        if not _fits(observation, self.env):
            # The recording's observations were of another kind; the reset shows the same moment.
            observation = self._begin_episode()
        self.snapshotter.restore(snapshot)
        return observation

    def _go_before(self, step: int) -> int:
        """Restore the nearest state that is at least one action before a step."""
        if step - 1 in self._recent:
            self.snapshotter.restore(self._recent[step - 1])
            return step - 1
        remembered = max((known for known in self._remembered if known < step), default=-1)
        index = self.demo.snapshots.last_at_or_before(step - 1)
        stored = -1 if index is None else int(self.demo.snapshots.steps[index])
        if remembered > stored:
            self.snapshotter.restore(self._remembered[remembered])
            return remembered
        if index is not None:
            self.snapshotter.restore(self._stored(index))
            return stored
        self._reset()
        return 0

    def _reset(self) -> Any:
        metadata = self.demo.metadata
        if metadata.seed is None:
            raise SnapshotError(
                "The demonstration has neither a snapshot before this step nor a seed to replay "
                "it from. Record it again from env.reset(seed=...)."
            )
        observation = self._begin_episode()
        self.snapshotter.on_reset(metadata.seed, metadata.options)
        return observation

    def _begin_episode(self) -> Any:
        """Reset as the recording says."""
        metadata = self.demo.metadata
        try:
            # A copy, since environments pop from theirs.
            observation, _ = self.env.reset(
                seed=metadata.seed, options=copy.deepcopy(metadata.options)
            )
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            if metadata.options is None or isinstance(error, HxWrappersError):
                raise
            raise DemoError(
                "The environment cannot be reset with the options of the demonstration, "
                f"{brief(repr(metadata.options))}: {brief(repr(error))}. They are of another "
                "version of the environment, or the file was changed."
            ) from error
        self.counters.keep()
        return observation

    def _play(self, start: int, stop: int, *, mend_seams: bool = True) -> Iterator[Transition]:
        for at in range(start, stop):
            action = self._action(at)
            observation, reward, terminated, truncated, info = self.env.step(action)
            self.snapshotter.on_step(action)
            if truncated and self.counters:
                self.counters.put_back()  # or what is outside of a time limit asks for a reset
            if mend_seams and at + 1 in self._seams:
                index = self.demo.snapshots.last_at_or_before(at + 1)
                assert index is not None
                self.snapshotter.restore(self._stored(index))
            else:
                self._remember(at + 1)
            own = own_reward(reward, info)
            yield Transition(at + 1, action, observation, own, terminated, truncated, info)

    def _remember(self, step: int) -> None:
        snapshotter = self.snapshotter
        wanted = not snapshotter.persistent and snapshotter.fast and step % _REMEMBER_EVERY == 0
        if wanted and step not in self._remembered and snapshotter.exact_now():
            self._remembered[step] = snapshotter.snapshot()

    def _keep(self, step: int) -> None:
        """Keep the state before a step that was gone to: a curriculum goes there again."""
        if self.snapshotter.fast and self.snapshotter.exact_now():
            if len(self._recent) >= _RECENT:
                del self._recent[next(iter(self._recent))]
            self._recent[step] = self.snapshotter.snapshot()

    def _action(self, at: int) -> Any:
        action = self.demo.actions[at]
        space = self.env.action_space
        if isinstance(space, gym.spaces.Discrete):
            return int(action)
        return np.array(action, dtype=replay_dtype(self.demo.actions.dtype, space))

    def _stored(self, index: int) -> Snapshot:
        """A stored snapshot, unpacked once for all environments of a kind."""
        return self.demo.unpacked(
            (type(self.snapshotter), index),
            lambda: self.snapshotter.decode(self.demo.snapshots.get(index)),
        )


def _unknown(
    described: Mapping[str, Any], env: gym.Env[Any, Any]
) -> list[gym.Wrapper[Any, Any, Any, Any]]:
    """The wrappers that count and that are not restored to what they had counted when recorded.

    These are all that keep statistics, which are those of the episodes played here, and the limits
    that the recording was made without, or with other arguments.
    """
    wrappers, arguments = described.get("wrappers"), described.get("wrapper_arguments")
    known: list[Any] = []
    if isinstance(wrappers, list) and isinstance(arguments, list):
        known = list(zip(wrappers, arguments, strict=False))
    unknown = []
    for layer in layers_of(env):
        identity = (layer_name(layer), recorded_arguments(layer))
        is_limit = identity[0] == "TimeLimit"
        if is_limit and identity in known:
            known.remove(identity)
        elif identity[0] in COUNTING_LAYERS:
            unknown.append(layer)
    return unknown


def own_reward(reward: SupportsFloat, info: Mapping[str, Any]) -> float:
    """The environment's own reward, also where a wrapper has added a bonus to it.

    Args:
        reward: What `step` returned.
        info: The step's info; bonus wrappers keep the environment's reward there, beside what they
            added. An `extrinsic_reward` alone is an entry of the environment's, of any meaning.
    """
    return float(info["extrinsic_reward"] if "reward_bonus" in info else reward)


def _was_reset(env: gym.Env[Any, Any]) -> bool:
    """Whether wrappers that set themselves up at the first reset have done so."""
    return bool(env.has_wrapper_attr("has_reset") and env.get_wrapper_attr("has_reset"))


def _fits(observation: Any, env: gym.Env[Any, Any]) -> bool:
    try:
        return observation is not None and bool(env.observation_space.contains(observation))
    except (TypeError, ValueError, AttributeError):
        return False
