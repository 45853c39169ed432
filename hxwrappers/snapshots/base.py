"""The base of all snapshotters: an environment with its wrappers, frozen and restored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots.capture import Unchanged, apply, capture, kind_of
from hxwrappers.snapshots.codec import decode, encode

_NEUTRAL = {
    "gymnasium": frozenset(
        {
            "HumanRendering",
            "OrderEnforcing",
            "PassiveEnvChecker",
            "RecordEpisodeStatistics",
            "RecordVideo",
            "RenderCollection",
            "TimeLimit",
        }
    ),
    "stable_baselines3": frozenset({"Monitor"}),
}

NEUTRAL_LAYERS = frozenset().union(*_NEUTRAL.values())
"""Wrappers that change neither observations nor rewards: a demonstration recorded with one of them
can be restored without it, and the other way round."""

COUNTING_LAYERS = NEUTRAL_LAYERS - {"OrderEnforcing", "PassiveEnvChecker"}
"""Those that begin anew with an episode: limits, statistics, films."""


def layers_of(env: gym.Env[Any, Any]) -> list[gym.Wrapper[Any, Any, Any, Any]]:
    """The wrappers of an environment, outermost first, without the innermost environment."""
    layers = []
    while isinstance(env, gym.Wrapper):
        layers.append(env)
        env = env.env
    return layers


def layer_name(layer: gym.Wrapper[Any, Any, Any, Any]) -> str:
    """The name under which demonstrations and snapshots know a wrapper.

    Subclasses of neutral wrappers count as these: RL Baselines3 Zoo puts a `PatchedTimeLimit` in
    the place of `TimeLimit`. Another package's class that only has the name of one of Gymnasium's
    is told from it by its module.

    Args:
        layer: The wrapper.

    Example:
        >>> class PatchedTimeLimit(gym.wrappers.TimeLimit):
        ...     pass
        >>> layer_name(PatchedTimeLimit(gym.make("CartPole-v1"), 10))
        'TimeLimit'
    """
    for kind in type(layer).__mro__:
        if kind.__name__ in _NEUTRAL.get(_package(kind), ()):
            return kind.__name__
    kind = type(layer)
    taken = kind.__name__ in NEUTRAL_LAYERS or hasattr(gym.wrappers, kind.__name__)
    if taken and _package(kind) not in _NEUTRAL:
        return f"{kind.__module__}:{kind.__qualname__}"
    return kind.__name__


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


_CONFIGURATION = frozenset(
    {
        "env",
        "_action_space",
        "_cached_spec",
        "_metadata",
        "_observation_space",
        "_reward_range",
        "_saved_kwargs",
    }
)


@dataclass(frozen=True)
class Snapshot:
    """A frozen environment.

    Attributes:
        family: The family of the snapshotter that made it, for example `"ale"`.
        base: The state of the innermost environment, in the form of its family.
        layers: The class name and state of each wrapper, outermost first.
        observation: The observation that was current, or None where the caller gave none. It is
            kept because a restored environment may still show its former screen.
    """

    family: str
    base: Any
    layers: tuple[tuple[str, Any], ...] = ()
    observation: Any = None


def unrestored(layer: gym.Env[Any, Any]) -> frozenset[str]:
    """The attributes of a wrapper that going back in time leaves as they are.

    A wrapper that learns names them in its class attribute `unrestored`: what it has learned, or
    what may be set at any time, is no state of the environment.
    """
    return frozenset(getattr(type(layer), "unrestored", ()))


def settings_of(layer: gym.Env[Any, Any]) -> dict[str, Any]:
    """The arguments that a wrapper recorded of itself, by name."""
    return dict(getattr(layer, "_saved_kwargs", {}))


class Counters:
    """What time limits and statistics count, kept at one moment and put back at another.

    Args:
        layers: The wrappers that count.
    """

    def __init__(self, layers: Iterable[gym.Wrapper[Any, Any, Any, Any]]) -> None:
        self._layers = list(layers)
        self._kept: list[dict[str, Any]] = []

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._layers)

    def keep(self) -> None:
        """Keep what they count now."""
        self._kept = [_copies(layer) for layer in self._layers]

    def put_back(self) -> None:
        """Let them count on from what was kept."""
        for layer, kept in zip(self._layers, self._kept, strict=True):
            vars(layer).update((name, copy(value)) for name, value in kept.items())


def _copies(layer: gym.Wrapper[Any, Any, Any, Any]) -> dict[str, Any]:
    settings = settings_of(layer)
    return {
        name: copy(value)
        for name, value in vars(layer).items()
        if isinstance(value, int | float | list | np.ndarray) and name.lstrip("_") not in settings
    }


class Snapshotter(ABC):
    """Freezes and restores one environment, wrappers included.

    After `restore(snapshot)` the same actions give the same observations, rewards and ends as they
    did after the snapshot, whatever happened in between.

    Args:
        env: The outermost environment to freeze. Wrappers further out are not touched.

    Attributes:
        env: That environment.
    """

    family: ClassVar[str]
    """Short name of the family, for example `"ale"`."""

    persistent: ClassVar[bool]
    """Whether snapshots can be written to a file and read back safely."""

    fast: ClassVar[bool] = True
    """Whether restoring takes about as long however late the snapshot is."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env = env

    @classmethod
    @abstractmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Whether this family can freeze the environment."""

    @abstractmethod
    def snapshot(self, observation: Any = None) -> Snapshot:
        """Freeze the environment as it is now.

        Args:
            observation: The current observation, to be kept with the state.

        Raises:
            SnapshotError: The state cannot be frozen (exactly) now; see `exact_now`.
        """

    @abstractmethod
    def restore(self, snapshot: Snapshot) -> None:
        """Bring the environment back to a frozen state.

        Args:
            snapshot: One that a snapshotter of this family made for the same kind of environment.

        Raises:
            SnapshotError: The snapshot is of another family or other wrappers, or damaged.
        """

    def exact_now(self) -> bool:
        """Whether a snapshot taken now would be exact; where it is not, take it a step later."""
        return True

    def describe(self) -> dict[str, Any]:
        """What a demonstration for this environment depends on, as JSON values."""
        return {}

    def on_reset(  # noqa: B027 - a hook, not a duty
        self, seed: int | None, options: Mapping[str, Any] | None
    ) -> None:
        """Tell the snapshotter that the environment was reset; only replay needs to know."""

    def on_step(self, action: Any) -> None:  # noqa: B027 - a hook, not a duty
        """Tell the snapshotter that the environment was stepped; only replay needs to know."""

    @contextmanager
    def hidden_from_env(self) -> Iterator[None]:
        """A context whose steps nobody looks at: where pictures cost much, none are made."""
        yield

    def encode(self, snapshot: Snapshot) -> bytes:
        """A snapshot as bytes for a file.

        Raises:
            SnapshotError: This family's snapshots, or this one, cannot be written to a file.
        """
        raise SnapshotError(
            f"Snapshots of the family {snapshot.family!r} cannot be written to a file; "
            "demonstrations of such environments are replayed from their seed."
        )

    def decode(self, data: bytes) -> Snapshot:
        """A snapshot from bytes, checked so that restoring it cannot crash the process.

        Raises:
            SnapshotError: The bytes are no snapshot of this family or a malformed one.
        """
        raise SnapshotError(
            f"Snapshots of the family {self.family!r} are not read from files, but {len(data)} "
            "bytes of one were given."
        )

    def fingerprint(self, snapshot: Snapshot) -> bytes | None:
        """Bytes that are equal for equal states, or None where states cannot be compared."""
        return self.encode(snapshot) if self.persistent else None

    def _check_family(self, snapshot: Snapshot) -> None:
        if snapshot.family != self.family:
            raise SnapshotError(
                f"The snapshot is of the family {snapshot.family!r}, but this environment needs "
                f"{self.family!r}. Take it from an environment of the same kind."
            )


class LayeredSnapshotter(Snapshotter):
    """Freezes the innermost environment in its own way and the wrappers' attributes around it.

    Args:
        env: The outermost environment to freeze.
    """

    persistent: ClassVar[bool] = True

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._layers = layers_of(env)

    @abstractmethod
    def freeze_base(self) -> Any:
        """The state of the innermost environment as a tree of plain values."""

    @abstractmethod
    def thaw_base(self, base: Any) -> None:
        """Restore the innermost environment."""

    @abstractmethod
    def check_base(self, base: Any) -> Any:
        """Check a state from a file before it may be restored.

        Returns:
            The state, in the form that this environment's version uses.

        Raises:
            SnapshotError: Restoring it would be wrong or unsafe.
        """

    def snapshot(self, observation: Any = None) -> Snapshot:
        """Freeze the environment as it is now."""
        if not self.exact_now():
            raise SnapshotError(
                "The environment cannot be frozen exactly at this step. Ask exact_now() first and "
                "take the snapshot a step later."
            )
        layers = tuple((layer_name(layer), _layer_state(layer)) for layer in self._layers)
        return Snapshot(self.family, self.freeze_base(), layers, observation)

    def restore(self, snapshot: Snapshot) -> None:
        """Bring the environment back to a frozen state."""
        self._check_family(snapshot)
        pairs = _pair(self._layers, snapshot.layers)
        self.thaw_base(snapshot.base)
        for layer, state in pairs:
            _restore_layer(layer, state)

    def encode(self, snapshot: Snapshot) -> bytes:
        """A snapshot as bytes for a file."""
        # The state comes last, where the others of a run are compressed against it.
        return encode(
            [snapshot.family, capture(snapshot.observation), list(snapshot.layers), snapshot.base]
        )

    def decode(self, data: bytes) -> Snapshot:
        """A snapshot from bytes, checked so that restoring it cannot crash the process."""
        tree = decode(data)
        match tree:
            case [str(family), observation, list(layers), base] if all(map(_is_layer, layers)):
                snapshot = Snapshot(family, base, tuple(layers), observation)
            case _:
                raise SnapshotError("The bytes are no snapshot: their outermost form is wrong.")
        self._check_family(snapshot)
        return replace(snapshot, base=self.check_base(base))

    def fingerprint(self, snapshot: Snapshot) -> bytes | None:
        """Bytes that are equal for equal states."""
        layers = [layer for layer in snapshot.layers if layer[0] not in NEUTRAL_LAYERS]
        return encode(_without_scalar_types([snapshot.base, layers]))


def _without_scalar_types(tree: Any) -> Any:
    """The tree with NumPy's scalars as Python's: policies give 3 or int64(3) alike."""
    if isinstance(tree, np.generic):
        return tree.item()
    if type(tree) is dict:
        return {key: _without_scalar_types(value) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(_without_scalar_types(value) for value in tree)
    return tree


def _is_layer(item: object) -> bool:
    match item:
        case (str(), dict(state)):
            return all(isinstance(name, str) for name in state)
        case _:
            return False


def _layer_state(layer: gym.Wrapper[Any, Any, Any, Any]) -> dict[str, Any]:
    captured = {
        name: capture(value)
        for name, value in vars(layer).items()
        if name not in _CONFIGURATION | unrestored(layer)
    }
    known = layer_name(layer)
    if known == "PassiveEnvChecker":
        return {}
    if known in NEUTRAL_LAYERS:
        # Frames for a video or for comparison are no state; counters and flags are. A limit is
        # kept beside them: counters of another one are not taken over.
        return {name: value for name, value in captured.items() if isinstance(value, int | float)}
    return {name: value for name, value in captured.items() if not isinstance(value, Unchanged)}


def _restore_layer(layer: gym.Wrapper[Any, Any, Any, Any], state: dict[str, Any]) -> None:
    attributes = vars(layer)
    if layer_name(layer) in NEUTRAL_LAYERS:
        settings = settings_of(layer)
        if any(
            name.lstrip("_") in settings and attributes.get(name) != value
            for name, value in state.items()
        ):
            return
    spared = _CONFIGURATION | unrestored(layer)  # files of older versions have more
    for name, value in state.items():
        if name not in spared:
            where = f"{type(layer).__name__}.{name}"
            attributes[name] = apply(attributes.get(name), value, where)


def _pair(
    layers: list[gym.Wrapper[Any, Any, Any, Any]], states: tuple[tuple[str, Any], ...]
) -> list[tuple[gym.Wrapper[Any, Any, Any, Any], dict[str, Any]]]:
    pairs = []
    remaining = list(states)
    for layer in layers:
        name = layer_name(layer)
        while remaining and remaining[0][0] != name and remaining[0][0] in NEUTRAL_LAYERS:
            remaining.pop(0)
        if remaining and remaining[0][0] == name:
            pairs.append((layer, remaining.pop(0)[1]))
        elif name not in NEUTRAL_LAYERS:
            raise _other_layers(layers, states)
    if any(name not in NEUTRAL_LAYERS for name, _ in remaining):
        raise _other_layers(layers, states)
    return pairs


def _other_layers(
    layers: list[gym.Wrapper[Any, Any, Any, Any]], states: tuple[tuple[str, Any], ...]
) -> SnapshotError:
    mine = " < ".join(kind_of(layer).rpartition(":")[2] for layer in layers) or "none"
    theirs = " < ".join(name for name, _ in states) or "none"
    return SnapshotError(
        f"The snapshot was taken inside the wrappers {theirs}, but this environment has {mine} "
        "(outermost first). Restore it at the level at which it was taken."
    )
