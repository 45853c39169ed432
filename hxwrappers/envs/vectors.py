"""Presets, and vectors of single environments, for all environment stacks."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from hxwrappers.errors import InvalidArgumentError

Backend = Literal["sync", "async"]
Settings = TypeVar("Settings")


def choose(what: str, name: str, known: Iterable[str]) -> str:
    """Return the name if it is known.

    Raises:
        InvalidArgumentError: It is not; the message offers names that look like it.
    """
    names = sorted(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=3) or names
    raise InvalidArgumentError(f"There is no {what} {name!r}. Did you mean {', '.join(near)}?")


def settings_of(
    presets: Mapping[str, Settings], preset: str, overrides: Mapping[str, Any]
) -> Settings:
    """Return the settings of a preset with some replaced.

    Raises:
        InvalidArgumentError: There is no such preset or setting.
    """
    settings: Any = presets[choose("preset", preset, presets)]
    fields = [field.name for field in dataclasses.fields(settings)]
    for name in overrides:
        choose("setting", name, fields)
    changed: Settings = dataclasses.replace(settings, **overrides)
    return changed


def vectorize(
    make: Callable[[], gym.Env[Any, Any]],
    num_envs: int,
    backend: Backend | str,
    autoreset_mode: AutoresetMode | str,
) -> VectorEnv:
    """Put environments side by side, in this process ("sync") or in spawned ones ("async")."""
    if choose("backend", backend, ("sync", "async")) == "sync":
        return SyncVectorEnv([make] * num_envs, autoreset_mode=autoreset_mode)
    # Spawned rather than forked: a fork copies the locks that torch's threads may hold.
    return AsyncVectorEnv([make] * num_envs, context="spawn", autoreset_mode=autoreset_mode)
