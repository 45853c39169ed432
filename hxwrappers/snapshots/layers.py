"""The wrappers of an environment, and the names by which demonstrations know them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

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
