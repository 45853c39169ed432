"""Snapshots by deep copy, by an environment's own state, by replay; the choice of a snapshotter."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any, ClassVar

import gymnasium as gym

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots.ale import AleSnapshotter
from hxwrappers.snapshots.base import (
    LayeredSnapshotter,
    Snapshot,
    Snapshotter,
    layers_of,
    unrestored,
)
from hxwrappers.snapshots.capture import Unchanged, apply, capture
from hxwrappers.snapshots.mujoco import MujocoSnapshotter

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
        return why_not_copied(env) is None

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
            kept = {name for name, value in state.items() if isinstance(value, Unchanged)}
            fresh = {
                name: copy.deepcopy(value, memo)
                for name, value in state.items()
                if name not in kept
            }
            attributes = vars(layer)
            for name in [name for name in attributes if name not in kept]:
                del attributes[name]
            attributes.update(fresh)


def why_not_copied(env: gym.Env[Any, Any]) -> str | None:
    """Which attribute keeps an environment from being frozen by deep copy.

    Args:
        env: The environment, as it is now.

    Returns:
        None where it can be copied, otherwise a sentence that names the attribute.

    Example:
        >>> env = gym.make("CliffWalking-v1")
        >>> print(why_not_copied(env))
        None
        >>> env.unwrapped.plan = (step for step in [1, 2])
        >>> why_not_copied(env)
        'CliffWalkingEnv.plan (generator) cannot be copied'
    """
    try:
        DeepCopySnapshotter(env).snapshot()
    except SnapshotError as error:
        return str(error).partition(",")[0]
    return None


def _is_drawn(value: Any) -> bool:
    """Whether it is a window, a picture for one, or a collection of these."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_drawn, value))
    return type(value).__module__.split(".")[0] in _WINDOWS


def _copy(layer: gym.Env[Any, Any], name: str, value: Any, memo: dict[int, Any]) -> Any:
    if isinstance(value, gym.spaces.Space | gym.envs.registration.EnvSpec):
        return Unchanged()
    if name in unrestored(layer):
        return Unchanged()
    if _is_drawn(value):
        return Unchanged()
    owner = value.__self__ if isinstance(value, MethodType) else None
    if isinstance(owner, gym.Env) and id(owner) not in memo:
        # A wrapper further out has replaced a method: that is no state of these layers.
        return Unchanged()
    try:
        return copy.deepcopy(value, memo)
    except Exception as error:  # copying runs foreign code, which fails in its own ways
        raise SnapshotError(
            f"{type(layer).__name__}.{name} ({type(value).__qualname__}) cannot be copied, so this "
            "environment cannot be frozen by deep copy. Use a ReplaySnapshotter."
        ) from error


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
        return _has_state_methods(list(_chain(env.unwrapped))[-1])

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


def _has_state_methods(part: object) -> bool:
    return callable(getattr(part, "get_state", None)) and callable(getattr(part, "set_state", None))


def _chain(part: Any) -> Iterator[Any]:
    """From the innermost Gymnasium environment to the part that freezes itself, looked up anew.

    A reset may build a new game, so none of this is remembered.
    """
    yield part
    while not _has_state_methods(part):
        attributes = getattr(part, "__dict__", {})
        inner = [attributes[name] for name in _INNER if attributes.get(name) is not None]
        if not inner:
            return
        part = inner[0]
        yield part


def _attributes(adapter: object) -> dict[str, Any]:
    captured = {name: capture(value) for name, value in vars(adapter).items() if name not in _INNER}
    return {name: value for name, value in captured.items() if not isinstance(value, Unchanged)}


class ReplaySnapshotter(Snapshotter):
    """Restores by resetting with the same seed and taking the same actions again.

    Exact where `reset(seed=...)` makes the environment reproducible, and slow: a restore takes as
    many steps as the snapshot is deep. It must be told of every reset and step (`on_reset`,
    `on_step`), as `DemoRecorder` does.

    Args:
        env: The outermost environment to freeze.
    """

    family: ClassVar[str] = "replay"
    persistent: ClassVar[bool] = False
    fast: ClassVar[bool] = False

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._seed: int | None = None
        self._options: dict[str, Any] | None = None
        self._actions: list[Any] = []

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Every environment, as the last resort."""
        return isinstance(env, gym.Env)

    def on_reset(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        """Begin a new history."""
        self._seed = seed
        self._options = None if options is None else dict(options)
        self._actions = []

    def on_step(self, action: Any) -> None:
        """Add an action to the history."""
        self._actions.append(copy.deepcopy(action))

    def snapshot(self, observation: Any = None) -> Snapshot:
        """Remember the history up to now."""
        if self._seed is None:
            raise SnapshotError(
                "This environment can only be restored by replay, which needs a seed. Reset it "
                "with reset(seed=...) and tell the snapshotter so (on_reset)."
            )
        history = (self._seed, copy.deepcopy(self._options), tuple(self._actions))
        return Snapshot(self.family, history, (), copy.deepcopy(observation))

    def restore(self, snapshot: Snapshot) -> None:
        """Reset with the snapshot's seed and take its actions."""
        self._check_family(snapshot)
        seed, options, actions = snapshot.base
        self.env.reset(seed=seed, options=copy.deepcopy(options))
        self._seed, self._options, self._actions = seed, options, list(actions)
        for action in actions:
            self.env.step(copy.deepcopy(action))


_FAMILIES: tuple[type[Snapshotter], ...] = (
    AleSnapshotter,
    MujocoSnapshotter,
    OwnStateSnapshotter,
    DeepCopySnapshotter,
    ReplaySnapshotter,
)


def find_snapshotter(env: gym.Env[Any, Any]) -> Snapshotter:
    """The snapshotter for an environment: the first family that can freeze it exactly.

    Args:
        env: The outermost environment to freeze; its wrappers are frozen with it.

    Returns:
        In this order, one for ALE, MuJoCo, environments that freeze themselves (Procgen), those
        that can be deep-copied, and otherwise one that replays from the seed.

    Example:
        >>> import gymnasium as gym
        >>> env = gym.make("CartPole-v1")
        >>> _ = env.reset(seed=0)
        >>> snapshotter = find_snapshotter(env)
        >>> frozen = snapshotter.snapshot()
        >>> first = env.step(1)[0]
        >>> snapshotter.restore(frozen)
        >>> bool((env.step(1)[0] == first).all())
        True
    """
    return next(family for family in _FAMILIES if family.supports(env))(env)
