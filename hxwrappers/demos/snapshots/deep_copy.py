"""Snapshots of environments written in Python, by deep copy."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any, ClassVar

import gymnasium as gym

from hxwrappers.demos.capture import Kept
from hxwrappers.demos.snapshots.base import Snapshot, Snapshotter, unrestored
from hxwrappers.demos.snapshots.layers import layers_of
from hxwrappers.errors import SnapshotError

__all__ = ["DeepCopySnapshotter"]

_WINDOWS = {"glfw", "moderngl", "pygame", "pyglet"}


@dataclass(frozen=True)
class _Layer:
    """Stands for a layer of the environment inside a copy, whichever instance it is put back in."""

    index: int


class DeepCopySnapshotter(Snapshotter):
    """Freezes MiniGrid, toy text, classic control and other environments that are all Python.

    The attributes of the environment and all its wrappers are copied together, so that what they
    share they still share after a restore. Spaces, specs, windows and their pictures are left as
    they are.

    Args:
        env: The outermost environment to freeze.
    """

    family: ClassVar[str] = "deep_copy"
    persistent: ClassVar[bool] = False

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._layers: list[gym.Env[Any, Any]] = [*layers_of(env), env.unwrapped]

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Whether every attribute can be copied; tried once, on the environment as it is."""
        try:
            cls(env).snapshot()
        except SnapshotError:
            return False
        return True

    def snapshot(self, observation: Any = None) -> Snapshot:
        """Freeze the environment as it is now."""
        stand_ins = [_Layer(index) for index in range(len(self._layers))]
        memo: dict[int, Any] = {
            id(layer): stand_in for layer, stand_in in zip(self._layers, stand_ins, strict=True)
        }
        copies = [
            {name: _copy(layer, name, value, memo) for name, value in vars(layer).items()}
            for layer in self._layers
        ]
        names = tuple((type(layer).__name__, None) for layer in self._layers)
        return Snapshot(self.family, (stand_ins, copies), names, copy.deepcopy(observation))

    def restore(self, snapshot: Snapshot) -> None:
        """Bring the environment back to a frozen state."""
        self._check_family(snapshot)
        mine = [type(layer).__name__ for layer in self._layers]
        if mine != [name for name, _ in snapshot.layers]:
            raise SnapshotError(
                f"The snapshot was taken of {[name for name, _ in snapshot.layers]}, but this "
                f"environment is {mine} (outermost first). Restore it at the level at which it "
                "was taken."
            )
        stand_ins, copies = snapshot.base
        memo: dict[int, Any] = {
            id(stand_in): layer for stand_in, layer in zip(stand_ins, self._layers, strict=True)
        }
        for layer, state in zip(self._layers, copies, strict=True):
            kept = {name for name, value in state.items() if isinstance(value, Kept)}
            fresh = {
                name: copy.deepcopy(value, memo)
                for name, value in state.items()
                if name not in kept
            }
            attributes = vars(layer)
            for name in [name for name in attributes if name not in kept]:
                del attributes[name]
            attributes.update(fresh)


def _is_drawn(value: Any) -> bool:
    """Whether it is a window, a picture for one, or a collection of these."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_drawn, value))
    return type(value).__module__.split(".")[0] in _WINDOWS


def _copy(layer: gym.Env[Any, Any], name: str, value: Any, memo: dict[int, Any]) -> Any:
    if isinstance(value, gym.spaces.Space | gym.envs.registration.EnvSpec):
        return Kept()
    if name in unrestored(layer):
        return Kept()
    if _is_drawn(value):
        return Kept()
    owner = value.__self__ if isinstance(value, MethodType) else None
    if isinstance(owner, gym.Env) and id(owner) not in memo:
        # A wrapper further out has replaced a method: that is no state of these layers.
        return Kept()
    try:
        return copy.deepcopy(value, memo)
    except Exception as error:  # copying runs foreign code, which fails in its own ways
        raise SnapshotError(
            f"{type(layer).__name__}.{name} ({type(value).__qualname__}) cannot be copied, so this "
            "environment cannot be frozen by deep copy. Use a ReplaySnapshotter."
        ) from error
