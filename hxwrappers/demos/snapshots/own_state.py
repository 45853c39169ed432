"""Snapshots of environments that freeze themselves, Procgen above all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym

from hxwrappers.demos.capture import Kept, apply, capture
from hxwrappers.demos.snapshots.base import LayeredSnapshotter, Snapshotter
from hxwrappers.errors import SnapshotError

__all__ = ["OwnStateSnapshotter"]

_INNER = ("env", "_env", "_games", "_vector", "venv", "gym3_env")


class OwnStateSnapshotter(LayeredSnapshotter):
    """Freezes an environment with `get_state()` and `set_state(state)`, and what is around it.

    That is `hxwrappers.envs.ProcgenEnv`, or any adapter around a `ProcgenGym3Env(num=1)` that
    keeps it in an attribute called `env`, `_env`, `_games`, `_vector`, `venv` or `gym3_env`.

    Such states live in memory only: Procgen's are memory images that its own reader trusts, and
    there is no way to check one without running it. A demonstration is replayed from its seed.

    Args:
        env: An environment whose innermost part freezes itself.
    """

    family: ClassVar[str] = "own_state"
    persistent: ClassVar[bool] = False

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Whether the innermost environment, or what it holds, freezes itself."""
        return _freezes_itself(list(_chain(env.unwrapped))[-1])

    def freeze_base(self) -> Any:
        """The environment's own state and the attributes of the adapters around it."""
        *adapters, holder = _chain(self.env.unwrapped)
        if getattr(holder, "num", 1) != 1:
            raise SnapshotError(
                f"The environment holds {holder.num} games, but a snapshot is of one. Make it with "
                "num=1, and use several environments for several games."
            )
        return holder.get_state(), [_attributes(adapter) for adapter in adapters]

    def thaw_base(self, base: Any) -> None:
        """Restore the environment and the adapters around it."""
        state, states_of_adapters = base
        *adapters, holder = _chain(self.env.unwrapped)
        holder.set_state(state)
        for adapter, attributes in zip(adapters, states_of_adapters, strict=True):
            for name, value in attributes.items():
                current = vars(adapter).get(name)
                vars(adapter)[name] = apply(current, value, f"{type(adapter).__name__}.{name}")

    def check_base(self, base: Any) -> Any:
        """Refuse: a state from a file cannot be checked."""
        raise SnapshotError(f"A state of its own ({type(base).__name__}) is not read from a file.")

    encode = Snapshotter.encode
    decode = Snapshotter.decode
    fingerprint = Snapshotter.fingerprint


def _freezes_itself(part: object) -> bool:
    return callable(getattr(part, "get_state", None)) and callable(getattr(part, "set_state", None))


def _chain(part: Any) -> Iterator[Any]:
    """From the innermost Gymnasium environment to the part that freezes itself, looked up anew.

    A reset may build a new game, so none of this is remembered.
    """
    yield part
    while not _freezes_itself(part):
        attributes = getattr(part, "__dict__", {})
        inner = [attributes[name] for name in _INNER if attributes.get(name) is not None]
        if not inner:
            return
        part = inner[0]
        yield part


def _attributes(adapter: object) -> dict[str, Any]:
    captured = {name: capture(value) for name, value in vars(adapter).items() if name not in _INNER}
    return {name: value for name, value in captured.items() if not isinstance(value, Kept)}
