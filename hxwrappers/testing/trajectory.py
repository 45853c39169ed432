"""Trajectories: played, recorded, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from hxwrappers.errors import InvalidArgumentError, WrapperContractError

EnvFactory = Callable[[], gym.Env[Any, Any]]
Wrap = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]


class Record(NamedTuple):
    """What one call returned; a reset has reward None."""

    observation: Any
    reward: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether the episode ended here."""
        return bool(self.terminated or self.truncated)


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Sits below the wrapper under test and keeps every call it makes, with its result."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.calls: list[tuple[str, Any]] = []
        self.records: list[Record] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and note how."""
        self.calls.append(("reset", {"seed": seed, "options": deepcopy(options)}))
        observation, info = self.env.reset(seed=seed, options=options)
        self.records.append(deepcopy(Record(observation, None, False, False, info)))
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment and note the action and the outcome."""
        self.calls.append(("step", deepcopy(action)))
        result = self.env.step(action)
        self.records.append(deepcopy(Record(*result)))
        return result


def require(holds: bool, promise: str, detail: str) -> None:
    """Raise a `WrapperContractError` that names the promise unless it holds."""
    if not holds:
        raise WrapperContractError(f"The promise {promise!r} is broken: {detail}")


def sample_actions(space: gym.Space[Any], count: int, seed: int) -> list[Any]:
    """Draw actions without touching the generator of the given space."""
    own = deepcopy(space)
    own.seed(seed)
    return [own.sample() for _ in range(count)]


def calls(env: gym.Env[Any, Any], actions: list[Any], seed: int | None) -> Iterator[Record]:
    """Reset with the seed, take the actions, reset without one after each end.

    Hands out, call by call, the very objects that the environment returned. With seed None it
    begins with a step in an episode that runs already.
    """
    if seed is not None:
        yield _reset(env, seed)
    for action in actions:
        record = Record(*env.step(action))
        yield record
        if record.ended:
            yield _reset(env, None)


def play(env: gym.Env[Any, Any], actions: list[Any], seed: int | None) -> list[Record]:
    """Return copies of all that `calls` hands out."""
    return [deepcopy(record) for record in calls(env, actions, seed)]


def replay(env: gym.Env[Any, Any], recorded: list[tuple[str, Any]]) -> list[Record]:
    """Make the same calls to an environment and return what it answers."""
    records = []
    for kind, argument in recorded:
        if kind == "reset":
            observation, info = env.reset(**deepcopy(argument))
            record = Record(observation, None, False, False, info)
        else:
            record = Record(*env.step(argument))
        records.append(deepcopy(record))
    return records


def require_same_records(
    promise: str, first: list[Record], second: list[Record], what: str
) -> None:
    """Require that two trajectories are equal, bit for bit, and name the first difference."""
    require(len(first) == len(second), promise, f"{what}: {len(first)} and {len(second)} calls")
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        for field in Record._fields:
            left, right = getattr(one, field), getattr(other, field)
            require(
                data_equivalence(left, right, exact=True),
                promise,
                f"{what}: call {index} gave {field} {_short(left)} and {_short(right)}.",
            )


def close_to(first: Any, second: Any, tolerance: float) -> bool:
    """Compare nested data with a tolerance on numbers, whatever their types.

    Example:
        >>> close_to({"a": (1, 2.0)}, {"a": (np.float32(1), 2.001)}, 0.01)
        True
    """
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(
            close_to(first[key], second[key], tolerance) for key in first
        )
    if isinstance(first, tuple | list) and isinstance(second, tuple | list):
        return len(first) == len(second) and all(
            close_to(one, other, tolerance) for one, other in zip(first, second, strict=True)
        )
    left, right = np.asarray(first), np.asarray(second)
    if left.shape != right.shape:
        return False
    if {left.dtype.kind, right.dtype.kind} <= set("biuf"):
        return bool(np.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(np.array_equal(left, right))


def require_endings(endings: int, steps: int) -> None:
    """Refuse a check in which no episode ended."""
    if not endings:
        raise InvalidArgumentError(
            f"No episode ended within {steps} steps, so that resets were not checked. Use shorter "
            "episodes, for example with gymnasium.wrappers.TimeLimit, or more steps."
        )


def freeze(env: gym.Env[Any, Any]) -> None:
    """Switch learning off in every wrapper of the stack that has the switch."""
    layer: Any = env
    while isinstance(layer, gym.Wrapper):
        if hasattr(layer, "training"):
            layer.training = False
        layer = layer.env


def _reset(env: gym.Env[Any, Any], seed: int | None) -> Record:
    observation, info = env.reset(seed=seed)
    return Record(observation, None, False, False, info)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
