"""The keys of the environments that the library knows, or that say themselves."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import gymnasium as gym

from hxwrappers.demos.play.keys import KeyMap, parse_bindings
from hxwrappers.errors import InvalidArgumentError

__all__ = ["action_meanings", "find_keys"]

_NAMES = {" ": "space", "\r": "return", "\t": "tab"}
# The arrows' codes in SDL 1 and SDL 2, by which some environments call them.
_CODES = dict(
    zip(
        (273, 274, 275, 276, 1073741906, 1073741905, 1073741903, 1073741904),
        ("up", "down", "right", "left") * 2,
        strict=True,
    )
)
_ARROWS = {"left": "a", "right": "d", "up": "w", "down": "s"}

_FOUR_WAYS = ("left=0", "down=1", "right=2", "up=3")
# Of environments that wait for their player: by how their ids begin.
_WAITING = {
    "MiniGrid-": (
        *("left=0", "right=1", "up=2", "x=3", "page up=3", "c=4", "page down=4"),
        *("space=5", "return=6"),
    ),
    "BabyAI-": ("left=0", "right=1", "up=2", "x=3", "c=4", "space=5", "return=6"),
    "FrozenLake": _FOUR_WAYS,
    "CliffWalking": ("up=0", "right=1", "down=2", "left=3"),
    "Taxi": ("down=0", "up=1", "right=2", "left=3", "x=4", "c=5"),
    "CartPole": ("left=0", "right=1"),
}
# Of environments that go on by themselves: with the action for no key.
_RUNNING = {
    "hxwrappers/Procgen": (
        4,
        (
            *("left+down=0", "left=1", "left+up=2", "down=3", "up=5"),
            *("right+down=6", "right=7", "right+up=8", "d=9", "a=10", "w=11", "s=12", "q=13"),
            "e=14",
        ),
    ),
    "MountainCar-": (1, ("left=0", "right=2")),
    "Acrobot": (1, ("left=0", "right=2")),
    "LunarLander-": (0, ("left=1", "up=2", "right=3")),
}


def find_keys(env: gym.Env[Any, Any]) -> KeyMap:
    """The keys of an environment: those it names itself (`get_keys_to_action`), or known ones.

    Atari games are played with `w` `a` `s` `d` or the arrows, and space.

    Args:
        env: The environment.

    Raises:
        InvalidArgumentError: None are known.

    Example:
        >>> find_keys(gym.make("FrozenLake-v1")).action(["right"])
        2
    """
    name = "" if env.spec is None else env.spec.id
    for prefix, words in _WAITING.items():
        if name.startswith(prefix):
            return KeyMap(parse_bindings(words))
    for prefix, (idle, words) in _RUNNING.items():
        if name.startswith(prefix):
            return KeyMap(parse_bindings(words), idle)
    numbered = isinstance(env.action_space, gym.spaces.Discrete)
    if numbered and env.has_wrapper_attr("get_keys_to_action"):
        return _own_keys(env.get_wrapper_attr("get_keys_to_action")())
    raise InvalidArgumentError(
        f"{name or env} does not say which keys it is played with. Give them, for example --keys "
        "left=0 right=1 left+up=2, and --idle with the action for no key where it shall go on by "
        f"itself. Its actions are {env.action_space}."
    )


def action_meanings(env: gym.Env[Any, Any]) -> dict[int, str]:
    """Names of an environment's actions by number, as far as it tells them.

    Example:
        >>> action_meanings(gym.make("CartPole-v1"))
        {}
    """
    game: Any = env.unwrapped
    if hasattr(game, "get_action_meanings"):
        return dict(enumerate(game.get_action_meanings()))
    named = getattr(game, "actions", None)
    if isinstance(named, type) and issubclass(named, IntEnum):
        return {int(action): action.name for action in named}
    return {}


def _own_keys(own: dict[Any, int]) -> KeyMap:
    bindings = {
        frozenset(_name(key) for key in (keys if isinstance(keys, tuple) else (keys,))): int(action)
        for keys, action in own.items()
    }
    # By convention, and in every Atari game, action 0 is to do nothing.
    idle = bindings.pop(frozenset(), 0)
    names: frozenset[str] = frozenset().union(*bindings)
    has_arrows = bool(set(_ARROWS) & names)
    aliases = {arrow: key for arrow, key in _ARROWS.items() if key in names and not has_arrows}
    return KeyMap(bindings, idle, aliases)


def _name(key: int | str) -> str:
    if isinstance(key, int):
        return _CODES.get(key) or _name(chr(key))
    return _NAMES.get(key, key.lower())
