"""The environment of a demonstration, made from what its file says.

A file is not trusted: only registered environments are made, and only wrappers from a short list
are put around them, beside those that an id brings by itself. Entry points in the file are read
but never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from hxwrappers._utils.checks import brief
from hxwrappers._utils.modules import import_optional, quiet_ale
from hxwrappers.demos.demo import Demo
from hxwrappers.errors import DemoError
from hxwrappers.snapshots.base import layer_name, layers_of

_PLUGINS = {
    "ALE/": ("ale_py", "atari"),
    "MiniGrid-": ("minigrid", "minigrid"),
    "BabyAI-": ("minigrid", "minigrid"),
}
_PASSED_OVER = {"DemoRecorder", "OrderEnforcing", "PassiveEnvChecker"}
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
        DemoError: The demonstration does not say how, the environment is not registered,
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
        case {
            "id": str(name),
            "spec": {"kwargs": dict(kwargs)},
            "wrappers": list(wrappers),
            "wrapper_arguments": list(settings),
        } if len(wrappers) == len(settings):
            pass
        case _:
            raise DemoError(
                "The demonstration does not say which registered environment it was made in. Make "
                "the environment yourself and use Demo.verify or Demo.restore from Python."
            )
    import_plugin(name)
    if name not in gym.registry:
        raise DemoError(
            f"The environment {name!r} of the demonstration is not registered here. Import what "
            f"registers it first: hxw --import MODULE, or import MODULE in Python{_made_in(demo)}."
        )
    arguments = {key: value for key, value in kwargs.items() if key != "render_mode"}
    if isinstance(arguments.get("frameskip"), list):
        arguments["frameskip"] = tuple(arguments["frameskip"])  # JSON has no tuples
    recorded = list(zip(wrappers, settings, strict=True))
    limit = _time_limit(recorded)
    try:
        env = gym.make(name, max_episode_steps=limit, **{**arguments, **overrides})
        for make, options in _missing(recorded, env):
            env = make(env, **options)
    except (gym.error.Error, DemoError):
        raise
    except Exception as error:  # environments have errors of their own for arguments of others
        raise DemoError(
            f"The environment {name!r} cannot be made as the demonstration describes it: "
            f"{brief(error)}."
        ) from error
    return env


def _made_in(demo: Demo) -> str:
    """Where the environment's class is, for a message; it is not imported."""
    match demo.metadata.env:
        case {"spec": {"entry_point": str(entry)}} if ":" in entry:
            return f" (its class is in the module {brief(entry.partition(':')[0], 60)})"
    return ""


def _time_limit(recorded: list[tuple[Any, Any]]) -> Any:
    """The time limit where `gym.make` puts one: wrappers that the id brings may lie around it."""
    names = [name for name, _ in recorded]
    at = names.index("OrderEnforcing") - 1 if "OrderEnforcing" in names else -1
    match recorded[at] if at >= 0 else None:
        case ("TimeLimit", {"max_episode_steps": limit}):
            return limit
    return -1


def _missing(
    recorded: list[tuple[Any, Any]], env: gym.Env[Any, Any]
) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    """The recorded wrappers, innermost first, that the environment did not come with."""
    own = [layer_name(layer) for layer in layers_of(env)]
    own = [name for name in own if name not in _PASSED_OVER]
    missing = []
    for name, settings in reversed(recorded):
        if isinstance(name, str) and name in _PASSED_OVER:
            continue
        if own and own[-1] == name:
            own.pop()
        else:
            missing.append(_layer(name, settings))
    return missing


def _layer(name: object, settings: object) -> tuple[Callable[..., Any], dict[str, Any]]:
    if not isinstance(name, str) or name not in _WRAPPERS or not isinstance(settings, dict):
        raise DemoError(
            f"The demonstration was recorded inside the wrapper {name}, which is not made from "
            "a file. Make the environment yourself and use it from Python."
        )
    return getattr(gym.wrappers, name), settings


def is_atari(env_id: str) -> bool:
    """Whether an environment's id, with or without a module in front, is that of an Atari game."""
    return env_id.rpartition(":")[2].startswith("ALE/")


def frame_by_frame(env_id: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for `gym.make` with which Atari games are played for demonstrations.

    Args:
        env_id: The environment's id.
        arguments: What was asked for, which comes first.

    Returns:
        The arguments; for Atari games with a frame a step and without sticky actions.

    Example:
        >>> frame_by_frame("ALE/Pong-v5", {"mode": 1})
        {'frameskip': 1, 'repeat_action_probability': 0.0, 'mode': 1}
    """
    usual = {"frameskip": 1, "repeat_action_probability": 0.0} if is_atari(env_id) else {}
    return {**usual, **arguments}


def frames_per_step(game: gym.Env[Any, Any]) -> float:
    """The emulator's frames in a step of an Atari game, on average where they are drawn.

    Args:
        game: The environment; wrappers that skip frames are not counted.

    Example:
        >>> import ale_py
        >>> frames_per_step(gym.make("ALE/Pong-v5"))
        4.0
        >>> frames_per_step(gym.make("ALE/Pong-v5", frameskip=(2, 5)))  # 2, 3 or 4
        3.0
    """
    skip: Any = getattr(game.unwrapped, "_frameskip", 1)
    # The emulator draws from the first number up to but without the second.
    return (sum(skip) - 1) / 2 if isinstance(skip, tuple | list) else float(skip)


def import_plugin(name: str) -> None:
    """Import the package that registers an environment, where the id tells which it is.

    Args:
        name: The environment's id, for example `"ALE/Pong-v5"`.

    Raises:
        gymnasium.error.DependencyNotInstalled: The package is missing.
    """
    for prefix, (module, extra) in _PLUGINS.items():
        if name.startswith(prefix):
            gym.register_envs(import_optional(module, f"{name} is not installed", extra))
    if name.startswith("ALE/"):
        quiet_ale()
