"""States of live objects as trees of plain values.

Wrappers keep counters, frames and generators in attributes. `capture` copies these out; `apply`
puts them back *in place*: it never builds an object from a name, so that a tree read from a file
can change numbers but not bring in code. What is no state (functions, spaces, environments,
windows, networks) is left as it is in the live object.
"""

from __future__ import annotations

import collections
import enum
import types
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from hxwrappers.errors import SnapshotError

_MAX_DEPTH = 24
_FOREIGN = {"av", "cv2", "gym3", "logging", "moderngl", "mujoco", "pygame", "torch", "weakref"}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)
_LEAVES = (*_PLAIN, enum.Enum, np.random.Generator, np.ndarray)
_SEQUENCES = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class Unchanged:
    """Something that is not part of the state and stays what it is in the live object."""


@dataclass(frozen=True)
class GeneratorState:
    """The state of a NumPy generator, restored in place so that those who share it still do."""

    state: dict[str, Any]


@dataclass(frozen=True)
class ObjectState:
    """The attributes of an object, put back into the live object of the same class."""

    kind: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class EnumState:
    """A member of an enumeration, by name."""

    kind: str
    name: str


def kind_of(value: object) -> str:
    """The full name of a value's class, for example `"gymnasium.spaces.box:Box"`."""
    return f"{type(value).__module__}:{type(value).__qualname__}"


def capture(value: Any, _seen: frozenset[int] = frozenset()) -> Any:
    """Copy a value's state.

    Args:
        value: Anything; objects are described by their attributes.

    Returns:
        A tree of plain values, arrays, containers and the markers of this module that shares no
        mutable part with `value`.

    Example:
        >>> capture({"count": 2, "act": print})
        {'count': 2, 'act': Unchanged()}
    """
    if isinstance(value, _LEAVES):
        return _capture_leaf(value)
    if id(value) in _seen or len(_seen) > _MAX_DEPTH or not _is_state(value):
        return Unchanged()
    seen = _seen | {id(value)}
    if type(value) is dict:
        return {key: capture(item, seen) for key, item in value.items() if _is_key(key)}
    if type(value) is collections.deque:
        return collections.deque((capture(item, seen) for item in value), value.maxlen)
    if type(value) in _SEQUENCES:
        return type(value)(capture(item, seen) for item in value)
    return ObjectState(
        kind_of(value), {name: capture(item, seen) for name, item in vars(value).items()}
    )


def _capture_leaf(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return EnumState(kind_of(value), value.name)
    if isinstance(value, np.random.Generator):
        return GeneratorState(dict(value.bit_generator.state))
    if isinstance(value, np.ndarray):
        return Unchanged() if value.dtype.hasobject else value.copy()
    return value


def apply(live: Any, state: Any, where: str = "the state") -> Any:
    """Put a captured state back.

    Args:
        live: The value now in the place that the state was captured from.
        state: What `capture` returned there.
        where: How to call the place in an error.

    Returns:
        The value for that place: `live` itself where it was changed in place.

    Raises:
        SnapshotError: `live` is of another class than the object that was captured.
    """
    if isinstance(state, Unchanged):
        return live
    if isinstance(state, GeneratorState):
        return _apply_generator(live, state, where)
    if isinstance(state, EnumState):
        if kind_of(live) != state.kind or state.name not in type(live).__members__:
            raise _other_kind(where, state.kind, live)
        return type(live)[state.name]
    if isinstance(state, ObjectState):
        if kind_of(live) != state.kind:
            raise _other_kind(where, state.kind, live)
        for name, item in state.attributes.items():
            if not isinstance(item, Unchanged):
                current = vars(live).get(name)
                vars(live)[name] = apply(current, item, f"{where}.{name}")
        return live
    if isinstance(state, np.ndarray):
        return state.copy()
    return _apply_container(live, state, where)


def _apply_container(live: Any, state: Any, where: str) -> Any:
    if type(state) is dict:
        old = live if isinstance(live, dict) else {}
        kept = {key: item for key, item in old.items() if not _is_key(key)}
        return kept | {
            key: apply(old.get(key), item, f"{where}[{key!r}]") for key, item in state.items()
        }
    if type(state) in (list, tuple, collections.deque):
        olds = list(live) if isinstance(live, list | tuple | collections.deque) else []
        olds += [None] * (len(state) - len(olds))
        parts = [
            apply(old, item, f"{where}[{index}]")
            for index, (old, item) in enumerate(zip(olds, state, strict=False))
        ]
        if type(state) is collections.deque:
            return collections.deque(parts, state.maxlen)
        return parts if type(state) is list else tuple(parts)
    if type(state) in (set, frozenset):
        return type(state)(state)
    return state


def _apply_generator(live: Any, state: GeneratorState, where: str) -> Any:
    name = state.state.get("bit_generator")
    if not isinstance(live, np.random.Generator) or type(live.bit_generator).__name__ != name:
        known = {"PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"}
        if (live is not None and not isinstance(live, np.random.Generator)) or name not in known:
            raise _other_kind(where, f"a generator of kind {name!r}", live)
        live = np.random.Generator(getattr(np.random, name)())
    try:
        live.bit_generator.state = state.state
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise SnapshotError(f"The generator state of {where} is malformed: {error}.") from error
    return live


def _other_kind(where: str, expected: str, live: object) -> SnapshotError:
    return SnapshotError(
        f"{where} is {kind_of(live)} in this environment, but {expected} in the frozen state. "
        "Reset the environment once before restoring, and use the same wrappers as the recording."
    )


def _is_key(key: object) -> bool:
    return isinstance(key, str | int | float | bool | bytes | tuple | type(None))


def _is_state(value: object) -> bool:
    if type(value) in (dict, list, tuple, set, frozenset, collections.deque):
        return True
    if isinstance(
        value, type | types.ModuleType | gym.Env | gym.spaces.Space | gym.envs.registration.EnvSpec
    ):
        return False
    if callable(value) and not hasattr(type(value), "__dict__"):
        return False
    if type(value).__module__.split(".")[0] in _FOREIGN or isinstance(
        value, types.FunctionType | types.MethodType | types.BuiltinFunctionType
    ):
        return False
    return hasattr(value, "__dict__")
