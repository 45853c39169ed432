"""Which keys mean which action."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import gymnasium as gym

from hxwrappers.errors import InvalidArgumentError

__all__ = ["KeyMap", "parse_bindings"]

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

    def alone(self, meanings: Mapping[int, str]) -> list[tuple[list[str], str]]:
        """The keys that do something alone, grouped by what they do.

        Args:
            meanings: Names of the actions.

        Returns:
            Names of keys, and the name of their action.
        """
        also = {key: [key] for keys in self.bindings if len(keys) == 1 for key in keys}
        for alias, key in self.aliases.items():
            also.setdefault(key, [key]).append(alias)
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
