"""Metadata of demonstrations, their actions, and the check that an environment fits them."""

from __future__ import annotations

import copy
import json
import platform
import sys
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata as packages
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import brief
from hxwrappers.errors import DemoError
from hxwrappers.snapshots import Snapshotter
from hxwrappers.snapshots.base import NEUTRAL_LAYERS, layer_name, layers_of, settings_of, unrestored


def holds_numbers(space: gym.Space[Any]) -> bool:
    """Whether the actions of a space are numbers or arrays of them."""
    return space.shape is not None and space.dtype is not None and space.dtype.kind in "biuf"


def require_actions_of(space: gym.Space[Any], actions: npt.NDArray[Any]) -> None:
    """Refuse actions of a demonstration that an action space does not have.

    Raises:
        DemoError: One is out of range, or their shape or dtype is another.
    """
    shape = actions.shape[1:]
    if isinstance(space, gym.spaces.Discrete):
        fits = shape == () and actions.dtype.kind in "iu"
        fits = fits and bool(((actions >= space.start) & (actions < space.start + space.n)).all())
    elif isinstance(space, gym.spaces.MultiDiscrete):
        fits = shape == space.shape
        fits = fits and bool(
            ((actions >= space.start) & (actions < space.start + space.nvec)).all()
        )
    else:
        fits = shape == space.shape
    if not fits:
        raise DemoError(
            f"The demonstration has actions that {space} does not have: {actions.dtype} of shape "
            f"{actions.shape}, or out of range. It is of another environment, or damaged."
        )


def replay_dtype(stored: np.dtype[Any], space: gym.Space[Any]) -> np.dtype[Any]:
    """The dtype in which actions that are arrays are taken: the space's, or their own if wider.

    Args:
        stored: The dtype that the actions have.
        space: Their space.
    """
    return np.result_type(stored, space.dtype)


def smallest_actions(actions: list[Any], space: gym.spaces.Space[Any]) -> np.ndarray[Any, Any]:
    """Actions as one array: whole numbers of the smallest dtype that holds them, others of theirs.

    Args:
        actions: The actions.
        space: Their space, for the shape and dtype where there are none.
    """
    if isinstance(space, gym.spaces.Discrete):
        return smallest_integers(np.array(actions, np.int64))
    if not actions:
        return np.zeros((0, *(space.shape or ())), space.dtype)
    return np.stack(actions)


def smallest_integers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Integers as an array of the smallest dtype that holds them exactly.

    Args:
        values: Integers of any dtype.

    Example:
        >>> smallest_integers(np.array([0, 255])).dtype, smallest_integers(np.array([-1, 1])).dtype
        (dtype('uint8'), dtype('int16'))
    """
    for dtype in (np.uint8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if not len(values) or (values.min() >= limits.min and values.max() <= limits.max):
            return values.astype(dtype)
    return values


FORMAT = "hxwrappers-demo"
VERSION = 1
MAX_JSON_BYTES = 1 << 24
_OF_RESETS = frozenset({"noop_max"})
"""Arguments of wrappers that matter at a reset alone, which a demonstration has behind it."""
_PACKAGES = ("hxwrappers", "gymnasium", "numpy", "ale-py", "minigrid", "mujoco", "procgen-mirror")


@dataclass(frozen=True)
class DemoMetadata:
    """What is known of a demonstration beside its steps; all of it JSON values.

    Attributes:
        env: The environment as `describe_environment` sees it: id, spec, wrappers, action space
            and, for ALE, game, ROM md5, action meanings, frame skip, stickiness, mode.
        seed: The seed that the episode was reset with, or None.
        options: The options that the episode was reset with, or None.
        family: The family of the snapshots, or None where there are none.
        seams: The steps at which the run goes on from the stored snapshot and not from the step
            before, for example where a recording was put together from pieces.
        versions: Versions of Python and the packages that take part.
        made_by: How it was made, for example `{"tool": "DemoRecorder"}`.
    """

    env: dict[str, Any]
    seed: int | None = None
    options: dict[str, Any] | None = None
    family: str | None = None
    seams: tuple[int, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    made_by: dict[str, Any] = field(default_factory=dict)

    def to_json(self, **derived: Any) -> str:
        """The metadata as a JSON document.

        Args:
            **derived: Further entries for readers of the file, for example the score.

        Raises:
            DemoError: An entry is no JSON value.
        """
        document = {"format": FORMAT, "version": VERSION, **asdict(self), **derived}
        try:
            return json.dumps(document, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise DemoError(
                f"The demonstration's metadata are not JSON values: {error}. Reset options and "
                "made_by may hold numbers, strings, lists and dicts of these only."
            ) from error

    @classmethod
    def from_json(cls, text: str) -> DemoMetadata:
        """Read what `to_json` wrote.

        Raises:
            DemoError: The text is no such document, or of a newer version.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DemoError(f"The demonstration's metadata are not JSON: {error}.") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise DemoError(f"The file is not a demonstration (expected {FORMAT!r}).")
        if document.get("version") != VERSION:
            raise DemoError(
                f"The demonstration is of format version {document.get('version')!r}; this version "
                f"of hxwrappers reads version {VERSION}. Update hxwrappers."
            )
        match document:
            case {
                "env": dict(env),
                "seed": int() | None as seed,
                "options": dict() | None as options,
                "family": str() | None as family,
                "seams": list(seams),
                "versions": dict(known),
                "made_by": dict(made_by),
            } if all(type(seam) is int for seam in seams) and (
                seed is None or (type(seed) is int and seed >= 0)
            ):
                return cls(env, seed, options, family, tuple(seams), known, made_by)
        raise DemoError("The demonstration's metadata lack entries or have some of wrong types.")

    def with_seams(self, seams: tuple[int, ...]) -> DemoMetadata:
        """The same with other seams."""
        return replace(self, seams=seams)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a replay depends on, where installed."""
    found = {"python": platform.python_version(), "platform": sys.platform}
    known = {name: _version(name) for name in _PACKAGES}
    return found | {name: version for name, version in known.items() if version is not None}


def _version(name: str) -> str | None:
    try:
        return packages.version(name)
    except packages.PackageNotFoundError:
        return None


def describe_environment(snapshotter: Snapshotter) -> dict[str, Any]:
    """Describe an environment as far as a demonstration depends on it.

    Args:
        snapshotter: The snapshotter of the environment.
    """
    env = snapshotter.env
    spec = env.unwrapped.spec
    return {
        "id": None if spec is None else spec.id,
        "spec": _spec(env),
        "wrappers": [layer_name(layer) for layer in layers_of(env)],
        "wrapper_arguments": [recorded_arguments(layer) for layer in layers_of(env)],
        "action_space": str(env.action_space),
        **snapshotter.describe(),
    }


_WORDS = {"rom_md5": "the game's ROM is another one, by its md5"}
"""What is said of an entry, where its name with spaces would not do."""


def check_same_environment(described: dict[str, Any], snapshotter: Snapshotter) -> None:
    """Check that an environment is of the kind that a demonstration describes.

    Args:
        described: The `env` entry of the demonstration's metadata.
        snapshotter: The snapshotter of the environment at hand.

    Raises:
        DemoError: It is not; the message lists everything that differs.
    """
    here = describe_environment(snapshotter)
    differences = [
        f"{_WORDS.get(name, name.replace('_', ' '))}: {brief(repr(described.get(name)))} in the "
        f"demonstration, {here[name]!r} in the environment"
        for name in here
        if name not in ("id", "spec", "wrappers", "wrapper_arguments")
        and described.get(name) != here[name]
    ]
    if "game" not in here and described.get("id") != here["id"]:
        differences.insert(
            0, f"id: {brief(repr(described.get('id')))} in the demonstration, {here['id']!r} here"
        )
    then, now = _shaping(described.get("wrappers")), _shaping(here["wrappers"])
    if then != now:
        differences.append(
            f"wrappers: {brief(then)} in the demonstration, {now} in the environment"
        )
    else:
        differences += _other_arguments(described, snapshotter.env)
    if differences:
        if described.get("rom_md5") != here.get("rom_md5"):
            differences[-1] += (
                ". ROMs come with ale-py: install the version that hxw demo info names, or record "
                "the demonstration again"
            )
        raise DemoError(
            "The demonstration was made in another environment: "
            + "; ".join(differences)
            + ". Make the environment as the demonstration's metadata describe it, and use it at "
            "the level at which the demonstration was recorded."
        )


def recorded_arguments(layer: gym.Wrapper[Any, Any, Any, Any]) -> dict[str, Any] | None:
    """The arguments that a wrapper recorded of itself, or None where they are no JSON values.

    Args:
        layer: The wrapper.
    """
    try:
        document = json.loads(json.dumps(settings_of(layer), allow_nan=False))
    except (TypeError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _other_arguments(described: dict[str, Any], env: gym.Env[Any, Any]) -> list[str]:
    """In which arguments the same wrappers differ.

    Those that learn are left out: how they do is no part of the run.
    """
    wrappers, arguments = described.get("wrappers"), described.get("wrapper_arguments")
    if not isinstance(wrappers, list) or not isinstance(arguments, list):
        return []
    pairs = zip(
        [layer for layer in layers_of(env) if not _is_neutral(layer_name(layer))],
        [then for name, then in zip(wrappers, arguments, strict=False) if not _is_neutral(name)],
        strict=False,  # a file may have lost some
    )
    differences = []
    for layer, then in pairs:
        now = recorded_arguments(layer)
        if now is None or not isinstance(then, dict):
            continue
        if any(name.lstrip("_") not in now for name in unrestored(layer)):
            continue
        differences += [
            f"{name} of {type(layer).__name__}: {brief(repr(then[name]))} in the demonstration, "
            f"{now[name]!r} in the environment"
            for name in now
            if name in then and name not in _OF_RESETS and then[name] != now[name]
        ]
    return differences


def _shaping(wrappers: object) -> list[object]:
    names = wrappers if isinstance(wrappers, list) else []
    return [name for name in names if not _is_neutral(name)]


def _is_neutral(name: object) -> bool:
    return isinstance(name, str) and name in NEUTRAL_LAYERS


def _spec(env: gym.Env[Any, Any]) -> dict[str, Any] | None:
    document = _spec_document(env)
    # A wrapper may have arguments that are no JSON values; the innermost spec still tells.
    return _spec_document(env.unwrapped) if document is None else document


def _spec_document(env: gym.Env[Any, Any]) -> dict[str, Any] | None:
    """The spec, or None where there is none, or one with objects in its arguments."""
    spec = copy.copy(env.spec)
    try:
        for name in ("entry_point", "vector_entry_point"):
            maker = getattr(spec, name, None)
            if callable(maker):  # a class or function, which JSON knows by its name
                called = getattr(maker, "__qualname__", type(maker).__name__)
                setattr(spec, name, f"{maker.__module__}:{called}")
        document = None if spec is None else json.loads(spec.to_json())
    except (TypeError, ValueError, AttributeError):
        return None
    return document if isinstance(document, dict) else None
