"""Keys of games and of the recorder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from enum import IntEnum
from typing import Any

import gymnasium as gym

from hxwrappers.errors import InvalidArgumentError

_JOIN, _EQUALS = "+", "="


@dataclass(frozen=True)
class KeyMap:
    """Actions by the keys that are held for them.

    Keys have the names that pygame gives them, in lower case: `"a"`, `"left"`, `"space"`,
    `"return"`, `"left shift"`.

    Attributes:
        bindings: The action for each set of keys.
        idle: The action while no key is held: the game goes on by itself. None where it waits for
            its player; then each press of a key is one step.
        aliases: Keys that count as another one, for example `{"left": "a"}`.

    Raises:
        InvalidArgumentError: There are no keys.

    Example:
        >>> keys = KeyMap({frozenset({"a"}): 4, frozenset({"a", "w"}): 7}, idle=0)
        >>> keys.action(["w", "a"]), keys.action(["a"]), keys.action([]), keys.action(["x"])
        (7, 4, 0, 0)
    """

    bindings: Mapping[frozenset[str], int]
    idle: int | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not any(self.bindings):
            raise InvalidArgumentError(
                "There are no keys to play with. Give some, for example left=1 right=2 left+up=3."
            )

    @property
    def names(self) -> frozenset[str]:
        """All keys that mean something."""
        return frozenset().union(*self.bindings) | frozenset(self.aliases)

    def action(self, held: Sequence[str]) -> int | None:
        """The action for the keys held: that of most keys; of several such, that of the latest.

        Args:
            held: The keys, in the order in which they were pressed.

        Returns:
            The action, or `idle` where the keys mean nothing.
        """
        order = {self.aliases.get(key, key): at for at, key in enumerate(held)}
        fitting = [keys for keys in self.bindings if keys and keys <= order.keys()]
        if not fitting:
            return self.idle
        latest = max(fitting, key=lambda keys: (len(keys), sorted(order[key] for key in keys)))
        return self.bindings[latest]

    def single_keys(self, meanings: Mapping[int, str]) -> list[tuple[list[str], str]]:
        """The keys that do something alone, grouped by what they do.

        Args:
            meanings: Names of the actions.

        Returns:
            Names of keys, and the name of their action.
        """
        also = {key: [key] for keys in self.bindings if len(keys) == 1 for key in keys}
        for alias, key in self.aliases.items():
            if key in also:  # others do something together with another key only
                also[key].append(alias)
        by_action: dict[int, list[str]] = {}
        for key, names in also.items():
            by_action.setdefault(self.bindings[frozenset({key})], []).extend(names)
        return [
            (names, meanings.get(action, f"action {action}")) for action, names in by_action.items()
        ]

    def check(self, space: gym.Space[int], reserved: Iterable[str] = ()) -> None:
        """Check that the actions exist and that no key is needed for something else.

        Raises:
            InvalidArgumentError: An action is not in the space, or a key is one of `reserved`.
        """
        actions = [*self.bindings.values(), *([] if self.idle is None else [self.idle])]
        unknown = sorted({action for action in actions if not space.contains(action)})
        if unknown:
            raise InvalidArgumentError(
                f"Keys mean the actions {unknown}, but the environment's actions are {space}."
            )
        taken = sorted(self.names & set(reserved))
        if taken:
            raise InvalidArgumentError(
                f"The keys {', '.join(taken)} are needed to control the recording; give others."
            )


def parse_bindings(words: Sequence[str]) -> dict[frozenset[str], int]:
    """Bindings as a person writes them.

    Args:
        words: Such as `"left=1"` or `"left+space=5"`.

    Raises:
        InvalidArgumentError: A word is of another form, or keys come twice.

    Example:
        >>> parse_bindings(["left=1"])
        {frozenset({'left'}): 1}
    """
    bindings: dict[frozenset[str], int] = {}
    for word in words:
        # The last sign separates, so that "=" itself can be a key.
        left, equals, right = word.rpartition(_EQUALS)
        keys = frozenset(key.strip().lower() for key in left.split(_JOIN))
        is_number = re.fullmatch(r"-?[0-9]{1,18}", right.strip())
        if not equals or "" in keys or is_number is None or keys in bindings:
            raise InvalidArgumentError(
                f"{word!r} binds no keys; write keys=action, each set of keys once, for example "
                "left=1 left+space=5."
            )
        bindings[keys] = int(right)
    return bindings


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


@dataclass(frozen=True)
class Controls:
    """Names of the keys that control a recording; a page needs tab, F1 and F5 for itself.

    Attributes:
        rewind: Held to go back in time; one press goes back one step.
        pause: Stops the game and lets it go on.
        single: Takes one step of a game that is paused.
        slower: Goes through full speed, a half and a quarter.
        save: Saves.
        help: Shows the keys.
        leave: Asks whether to save and ends.
    """

    rewind: str = "backspace"
    pause: str = "p"
    single: str = "."
    slower: str = ","
    save: str = "f2"
    help: str = "?"
    leave: str = "escape"

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(astuple(self))
