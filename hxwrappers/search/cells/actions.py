"""Actions of a space: drawn at random, kept as bytes, and given to the environment."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from hxwrappers.errors import DemoError

_MAX_ACTIONS = 1 << 16
_MAX_BYTES = 1 << 12


class Actions(ABC):
    """The actions of one space.

    Attributes:
        size: Bytes of one packed action.
    """

    size: int

    @abstractmethod
    def draw(self, chance: random.Random) -> Any:
        """An action at random."""

    @abstractmethod
    def pack(self, actions: Iterable[Any]) -> bytes:
        """Actions, as `draw` gives them, as bytes."""

    @abstractmethod
    def unpack(self, packed: bytes) -> Sequence[Any]:
        """The actions that `pack` packed."""

    @abstractmethod
    def taken(self, action: Any) -> Any:
        """What `env.step` is given for an action."""


class NumberedActions(Actions):
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

    def unpack(self, packed: bytes) -> list[int]:
        """The actions that `pack` packed."""
        return array("H", packed).tolist()

    def taken(self, action: int) -> int:
        """The action's number in the space."""
        return self._first + action


class ArrayActions(Actions):
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

    def unpack(self, packed: bytes) -> list[npt.NDArray[Any]]:
        """The actions that `pack` packed."""
        return list(np.frombuffer(packed, self._dtype).reshape(-1, *self._shape).copy())

    def taken(self, action: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy, which an environment may change as it likes."""
        return action.copy()


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
