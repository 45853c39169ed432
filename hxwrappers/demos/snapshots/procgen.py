"""Snapshots of Procgen games."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym

from hxwrappers.demos.capture import Kept, apply, capture
from hxwrappers.demos.snapshots.base import LayeredSnapshotter, Snapshotter
from hxwrappers.errors import SnapshotError

__all__ = ["ProcgenSnapshotter"]


class ProcgenSnapshotter(LayeredSnapshotter):
    """Freezes a single Procgen game (`ProcgenGym3Env(num=1)`) and what stands around it.

    Procgen's states are memory images that its own reader trusts, and there is no way to check
    one without running it. So they live in memory only; a demonstration of a Procgen game is
    restored from a file by replay from its seed.

    Args:
        env: An environment whose innermost part holds a `ProcgenGym3Env`, at any depth of
            attributes called `env`, `_env`, `venv` or `gym3_env`.
    """

    family: ClassVar[str] = "procgen"
    persistent: ClassVar[bool] = False

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._chain = list(_chain(env.unwrapped))
        self._games = self._chain[-1]
        if getattr(self._games, "num", None) != 1:
            raise SnapshotError(
                "Procgen snapshots are of one game: make the environment with num=1, and use "
                "several of them for several games."
            )

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Whether a Procgen game is inside."""
        return _is_games(list(_chain(env.unwrapped))[-1])

    def freeze_base(self) -> Any:
        """The game's memory image and the attributes of the adapters around it."""
        (state,) = self._games.get_state()
        return state, [_attributes(adapter) for adapter in self._chain[:-1]]

    def thaw_base(self, base: Any) -> None:
        """Restore the game and the adapters around it."""
        state, adapters = base
        self._games.set_state([state])
        for adapter, attributes in zip(self._chain[:-1], adapters, strict=True):
            for name, value in attributes.items():
                current = vars(adapter).get(name)
                vars(adapter)[name] = apply(current, value, f"{type(adapter).__name__}.{name}")

    def check_base(self, base: Any) -> Any:
        """Refuse: a state from a file cannot be checked."""
        raise SnapshotError(f"A Procgen state ({type(base).__name__}) is not read from a file.")

    encode = Snapshotter.encode
    decode = Snapshotter.decode
    fingerprint = Snapshotter.fingerprint


def _chain(part: Any) -> Iterator[Any]:
    yield part
    while not _is_games(part):
        inner = [
            vars(part)[name]
            for name in ("env", "_env", "venv", "gym3_env")
            if name in getattr(part, "__dict__", {})
        ]
        if not inner:
            return
        part = inner[0]
        yield part


def _is_games(part: object) -> bool:
    return any(
        kind.__module__ == "procgen.env" and kind.__name__ == "BaseProcgenEnv"
        for kind in type(part).__mro__
    )


def _attributes(adapter: object) -> dict[str, Any]:
    captured = {
        name: capture(value)
        for name, value in vars(adapter).items()
        if name not in ("env", "_env", "venv", "gym3_env")
    }
    return {name: value for name, value in captured.items() if not isinstance(value, Kept)}
