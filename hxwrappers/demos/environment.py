"""Making the environment that a demonstration was recorded in, from what its file says.

A file is not trusted: only registered environments are made, and only wrappers from a short list
are put around them. Entry points in the file are read but never imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import gymnasium as gym

from hxwrappers.demos.demo import Demo
from hxwrappers.errors import DemoMismatchError

__all__ = ["make_environment"]

_PLUGINS = {"ALE/": ("ale_py", "atari"), "MiniGrid-": ("minigrid", "minigrid")}
_WRAPPERS = {
    "AtariPreprocessing",
    "ClipReward",
    "DelayObservation",
    "FlattenObservation",
    "FrameStackObservation",
    "GrayscaleObservation",
    "MaxAndSkipObservation",
    "RecordEpisodeStatistics",
    "RepeatAction",
    "ResizeObservation",
    "StickyAction",
    "TimeAwareObservation",
    "TimeLimit",
}


def make_environment(demo: Demo, **overrides: Any) -> gym.Env[Any, Any]:
    """Make an environment of the kind that a demonstration was recorded in.

    Args:
        demo: The demonstration.
        **overrides: Arguments for `gym.make` in place of the recorded ones, for example
            `render_mode="rgb_array"`.

    Returns:
        The environment, with the recorded wrappers around it.

    Raises:
        DemoMismatchError: The demonstration does not say how, the environment is not registered,
            or a wrapper is not one of those that are made from a file.
        gymnasium.error.DependencyNotInstalled: The package that brings the environment is missing.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers.demos import DemoRecording
        >>> recording = DemoRecording(gym.make("CliffWalking-v1"))
        >>> _ = recording.reset(seed=0)
        >>> make_environment(recording.demo()).spec.id
        'CliffWalking-v1'
    """
    match demo.metadata.env:
        case {"id": str(name), "spec": {"kwargs": dict(kwargs), **spec}}:
            wrappers = spec.get("additional_wrappers")
            limit = spec.get("max_episode_steps")
        case _:
            raise DemoMismatchError(
                "The demonstration does not say which registered environment it was made in. Make "
                "the environment yourself and use Demo.verify or Demo.restore from Python."
            )
    _import_plugin(name)
    if name not in gym.registry:
        raise DemoMismatchError(
            f"The environment {name!r} of the demonstration is not registered here. Install the "
            "package that brings it, import it, and use Demo.verify or Demo.restore from Python."
        )
    arguments = {key: value for key, value in kwargs.items() if key != "render_mode"}
    if isinstance(limit, int):
        arguments["max_episode_steps"] = limit
    try:
        env = gym.make(name, **{**arguments, **overrides})
        for make, settings in _recorded_wrappers(wrappers):
            env = make(env, **settings)
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise DemoMismatchError(
            f"The environment {name!r} cannot be made as the demonstration describes it: {error}."
        ) from error
    return env


def _recorded_wrappers(wrappers: object) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    found: list[tuple[Callable[..., Any], dict[str, Any]]] = []
    for entry in wrappers if isinstance(wrappers, list) else ():
        match entry:
            case {"name": str(name), "kwargs": dict() | None as kwargs}:
                pass
            case _:
                raise DemoMismatchError("The demonstration describes a wrapper in no known form.")
        if name == "DemoRecorder":
            continue
        if name not in _WRAPPERS:
            raise DemoMismatchError(
                f"The demonstration was recorded inside the wrapper {name}, which is not made from "
                "a file. Make the environment yourself and use it from Python."
            )
        found.append((getattr(gym.wrappers, name), kwargs or {}))
    return found


def _import_plugin(name: str) -> None:
    for prefix, (module, extra) in _PLUGINS.items():
        if not name.startswith(prefix):
            continue
        try:
            gym.register_envs(importlib.import_module(module))
        except ImportError as error:
            raise gym.error.DependencyNotInstalled(
                f'The demonstration is of {name}: pip install "hxwrappers[{extra}]"'
            ) from error
