"""Bursts of random actions from a restored state: the exploration that every search does."""

from __future__ import annotations

import random
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from hxwrappers._utils.modules import load_function
from hxwrappers.demos.player import own_reward
from hxwrappers.errors import DemoError
from hxwrappers.search.cells.archive import Start
from hxwrappers.search.cells.settings import ExplorationSettings
from hxwrappers.snapshots import (
    Snapshot,
    Snapshotter,
    find_snapshotter,
    first_inexact_step,
    first_unrepeated_step,
    why_not_copied,
)
from hxwrappers.snapshots.store import inflate

_MAX_ACTIONS = 1 << 16
_MAX_BYTES = 1 << 12


class NumberedActions:
    """The actions of a Discrete space, each as its place in the space.

    Args:
        space: A space of at most 65,536 actions.

    Example:
        >>> actions = NumberedActions(spaces.Discrete(3, start=7))
        >>> actions.unpack(actions.pack([0, 2])), actions.taken(2)
        ([0, 2], 9)
    """

    size = 2

    def __init__(self, space: spaces.Discrete) -> None:
        self._first, self._count = int(space.start), int(space.n)

    def draw(self, chance: random.Random) -> int:
        """An action, all equally likely."""
        return int(chance.random() * self._count)

    def pack(self, actions: Iterable[int]) -> bytes:
        """Two bytes an action."""
        return array("H", actions).tobytes()

    def unpack(self, packed: bytes) -> list[Any]:
        """The actions that `pack` packed."""
        return array("H", packed).tolist()

    def taken(self, action: int) -> int:
        """The action's number in the space."""
        return self._first + action


class ArrayActions:
    """The actions of a Box, MultiDiscrete or MultiBinary space: arrays.

    Where a Box is bounded they are drawn evenly between the bounds, otherwise from a normal
    distribution around the bound or 0.

    Args:
        space: The space.

    Example:
        >>> actions = ArrayActions(spaces.Box(-1, 1, (2,), np.float32))
        >>> drawn = actions.draw(random.Random(0))
        >>> drawn.shape, bool((actions.unpack(actions.pack([drawn]))[0] == drawn).all())
        ((2,), True)
    """

    def __init__(self, space: spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary) -> None:
        self._shape: tuple[int, ...] = space.shape
        self._dtype = np.dtype(space.dtype)
        self._draw_one = _ways_to_draw(space)
        self.size = self._dtype.itemsize * len(self._draw_one)

    def draw(self, chance: random.Random) -> npt.NDArray[Any]:
        """An action, each of its numbers drawn for itself."""
        numbers = [
            _draw(chance, low, high, whole=self._dtype.kind != "f") for low, high in self._draw_one
        ]
        return np.array(numbers, self._dtype).reshape(self._shape)

    def pack(self, actions: Iterable[npt.NDArray[Any]]) -> bytes:
        """The numbers of the actions, one after the other."""
        return b"".join(action.tobytes() for action in actions)

    def unpack(self, packed: bytes) -> list[Any]:
        """The actions that `pack` packed."""
        return list(np.frombuffer(packed, self._dtype).reshape(-1, *self._shape).copy())

    def taken(self, action: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy, which an environment may change as it likes."""
        return action.copy()


Actions = NumberedActions | ArrayActions
"""The actions of one space; `size` is the number of bytes of one packed action."""


def actions_of(space: spaces.Space[Any], env_id: str) -> Actions:
    """The actions of a space.

    Args:
        space: The environment's action space.
        env_id: What to call the environment in an error.

    Raises:
        DemoError: Actions of this space can be neither drawn nor kept.
    """
    if isinstance(space, spaces.Discrete) and space.n <= _MAX_ACTIONS:
        return NumberedActions(space)
    if isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
        actions = ArrayActions(space)
        if 0 < actions.size <= _MAX_BYTES:
            return actions
    raise DemoError(
        f"The actions of {env_id} are {space}, but the search draws from spaces Discrete (of at "
        f"most {_MAX_ACTIONS:,} actions), Box, MultiDiscrete or MultiBinary (of at most "
        f"{_MAX_BYTES:,} bytes an action). Put a wrapper around the environment that makes one "
        "of them."
    )


def _ways_to_draw(
    space: spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary,
) -> list[tuple[float, float]]:
    """The bounds of each number, both included; infinite where there is none."""
    lows: list[float]
    highs: list[float]
    if isinstance(space, spaces.Box):
        lows, highs = space.low.reshape(-1).tolist(), space.high.reshape(-1).tolist()
    elif isinstance(space, spaces.MultiDiscrete):
        lows = space.start.astype(float).reshape(-1).tolist()
        highs = (space.start + space.nvec - 1.0).reshape(-1).tolist()
    else:
        lows = [0.0] * int(np.prod(space.shape))
        highs = [1.0] * len(lows)
    return list(zip(lows, highs, strict=True))


def _draw(chance: random.Random, low: float, high: float, *, whole: bool) -> float:
    if whole:
        return chance.randint(int(low), int(high))
    if np.isfinite(low) and np.isfinite(high):
        return chance.uniform(low, high)
    drawn = chance.gauss(0.0, 1.0)
    if np.isfinite(low):
        return low + abs(drawn)
    return high - abs(drawn) if np.isfinite(high) else drawn


_WINDOW = 1 << 15


class SnapshotPacker:
    """Packs an environment's snapshots, compressed against one of them.

    Snapshots of families that can be kept in files become bytes, a few hundred for an Atari game.
    The others stay as they are.

    Args:
        snapshotter: What makes the snapshots and restores them.
        reference: What to compress against: the first snapshot encoded. The same for all who
            exchange packed snapshots. Taken from the environment as it is now unless given.
    """

    def __init__(self, snapshotter: Snapshotter, reference: bytes | None = None) -> None:
        self._snapshotter = snapshotter
        if reference is None and snapshotter.persistent:
            reference = snapshotter.encode(snapshotter.snapshot())
        self.reference = reference or b""
        self._dictionary = self.reference[-_WINDOW:]

    def pack(self) -> Any:
        """The environment's state as it is now."""
        snapshot = self._snapshotter.snapshot()
        if not self._snapshotter.persistent:
            return snapshot
        deflater = zlib.compressobj(level=1, zdict=self._dictionary)
        return deflater.compress(self._snapshotter.encode(snapshot)) + deflater.flush()

    def restore(self, packed: Any) -> None:
        """Bring the environment to a packed state.

        Raises:
            SnapshotError: The bytes are no packed snapshot of this environment.
        """
        self._snapshotter.restore(packed if isinstance(packed, Snapshot) else self._unpack(packed))

    def _unpack(self, packed: bytes) -> Snapshot:
        return self._snapshotter.decode(inflate(packed, "A packed snapshot", self._dictionary))


_TRIED, _TRIALS = 100, 4
"""Steps of a trial of the environment, and how many are made from snapshots."""

RewardFunction = Callable[[gym.Env[Any, Any], Any, float], float]
"""Takes the environment, the observation after a step and the step's own reward, and gives the
number that the search adds to the score."""


class Moment(NamedTuple):
    """What came of one action of a burst, held for its steps.

    Attributes:
        observation: The last observation.
        action: The action.
        score: The return on the way, from the reset.
        length: The environment's steps on the way, from the reset.
        lives: The lives left, or None.
        terminated: Whether the episode ended by itself.
        truncated: Whether it was cut off.
        fell: Whether a life was lost.
    """

    observation: Any
    action: Any
    score: float
    length: int
    lives: int | None
    terminated: bool
    truncated: bool
    fell: bool

    @property
    def over(self) -> bool:
        """Whether nothing can be explored from here: the episode has ended, or a life is lost."""
        return self.terminated or self.truncated or self.fell


class Bursts:
    """One environment to explore in.

    Args:
        settings: What to search and how.
        env: The environment to search in.
        reference: What packed snapshots are compressed against; see `SnapshotPacker`.

    Attributes:
        env: The environment, reset.
        first: The observation after the reset.
        first_lives: The lives then, or None.
        packer: Packs and restores its states.
        start: The state after the reset.
        actions: Its actions.

    Raises:
        DemoError: The environment has no fast and exact snapshots, or its actions cannot be
            drawn.
    """

    def __init__(
        self, settings: ExplorationSettings, env: Any, reference: bytes | None = None
    ) -> None:
        self._settings = settings
        self.env = env
        self.actions = actions_of(env.action_space, settings.env_id)
        self._reward = load_reward(settings.reward)
        env.reset(seed=settings.seed)
        self._snapshotter = find_snapshotter(env)
        if not self._snapshotter.fast:
            raise DemoError(
                f"{settings.env_id} can only be restored by replaying it from the seed, which is "
                f"too slow for a search: {why_not_copied(env)}. Give the environment get_state and "
                "set_state, or attributes that can be copied."
            )
        if reference is None:  # one explorer tries it out for all
            self._try_out()
        self.first, info = env.reset(seed=settings.seed)
        self.first_lives: int | None = info.get("lives")
        if not self._snapshotter.exact_now():
            raise DemoError(
                f"{settings.env_id} cannot be frozen exactly right after its reset, so there is "
                "nowhere to begin. For an Atari game use repeat_action_probability=0."
            )
        self.packer = SnapshotPacker(self._snapshotter, reference)
        self.start = Start(0.0, 0, self.first_lives, self.packer.pack(), b"", 0)

    def _try_out(self) -> None:
        """Refuse an environment of which nothing that is found could be repeated."""
        settings = self._settings
        problem = first_unrepeated_step(self.env, steps=_TRIED, seed=settings.seed)
        if problem is None and self._snapshotter.exact_now():
            problem = first_inexact_step(
                self._snapshotter, steps=_TRIED, trials=_TRIALS, seed=settings.seed
            )
            if problem is not None:
                problem = f"its snapshots are not exact: {problem}"
        if problem is not None:
            raise DemoError(f"{settings.env_id} cannot be searched: {problem}.")

    def exact_now(self) -> bool:
        """Whether the environment can be frozen exactly as it is now."""
        return self._snapshotter.exact_now()

    def go_to(self, start: Start) -> Any:
        """Bring the environment to a state.

        Returns:
            The packed state where it had to be made again by the actions; otherwise None.
        """
        if start.snapshot is not None:
            self.packer.restore(start.snapshot)
            return None
        self.env.reset(seed=self._settings.seed)
        for action in self.actions.unpack(start.actions):
            self._act(action, 0.0, 0, None)
        return self.packer.pack()

    def explore(self, start: Start) -> Iterator[Moment]:
        """Act at random from a state, to which `go_to` has gone.

        Ends when the actions are spent, a life is lost, or the episode ends.
        """
        chance = random.Random(start.seed)
        score, length, lives = start.score, start.length, start.lives
        action = self.actions.draw(chance)
        for _ in range(self._settings.explore):
            if chance.random() >= self._settings.repeat:
                action = self.actions.draw(chance)
            moment = self._act(action, score, length, lives)
            yield moment
            if moment.over:
                return
            score, length, lives = moment.score, moment.length, moment.lives

    def play(
        self,
        start: Start,
        actions: Iterable[Any],
        every: int | None = None,
        note: Callable[[Start | None], object] = lambda _: None,
    ) -> Iterator[Moment]:
        """Take actions from a state.

        Ends when the actions are spent, a life is lost, or the episode ends.

        Args:
            start: The state.
            actions: The actions.
            every: Actions between two states that are noted; None notes none.
            note: Called with them; with None where the state cannot be frozen exactly.
        """
        self.go_to(start)
        score, length, lives = start.score, start.length, start.lives
        for number, action in enumerate(actions, 1):
            moment = self._act(action, score, length, lives)
            score, length, lives = moment.score, moment.length, moment.lives
            if every is not None and not moment.over and number % every == 0:
                note(
                    Start(score, length, lives, self.packer.pack(), b"", 0)
                    if self.exact_now()
                    else None
                )
            yield moment
            if moment.over:
                return

    def _act(self, action: Any, score: float, length: int, lives: int | None) -> Moment:
        earned, steps = 0.0, 0
        for _ in range(self._settings.steps_held):
            observation, reward, terminated, truncated, info = self.env.step(
                self.actions.taken(action)
            )
            own = own_reward(reward, info)
            earned += own if self._reward is None else self._reward(self.env, observation, own)
            steps += 1
            left = info.get("lives")
            fell = lives is not None and left is not None and left < lives
            if terminated or truncated or fell:
                break
        return Moment(
            observation,
            action,
            score + earned,
            length + steps,
            left,
            bool(terminated),
            bool(truncated),
            fell,
        )


def load_reward(name: str | None) -> RewardFunction | None:
    """The reward function called `"module:function"`, or None where none is named.

    What it gives is made a float, so that the score can be kept and compared.

    Raises:
        DemoError: It cannot be imported. Called, it failed or returned no number.

    Example:
        >>> reward = load_reward("operator:truth")
        >>> load_reward(None) is None
        True
    """
    if name is None:
        return None
    function = load_function(name, "reward", DemoError)

    def reward(env: gym.Env[Any, Any], observation: Any, own: float) -> float:
        try:
            return float(function(env, observation, own))
        except Exception as error:  # a user's function fails in its own ways
            raise DemoError(
                f"The reward function {name} failed: {type(error).__name__}: {error}. It is "
                "called with the environment, the observation and the environment's reward, and "
                "returns a number."
            ) from error

    return reward
