"""Messages of the page, parsed strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hxwrappers.errors import InvalidArgumentError

MAX_BYTES = 4096
"""The longest message of a page."""

_MOST_KEYS, _LONGEST_KEY = 32, 32
_SEAT_LENGTH = 32
_MOST_POINTS = 2000
_LARGEST = 2**53


@dataclass(frozen=True)
class Hello:
    """The first message.

    Attributes:
        seat: The seat that the page had before its connection broke, or None.
    """

    seat: str | None


@dataclass(frozen=True)
class Keys:
    """Which keys are down.

    Attributes:
        held: The keys that are down, in the order in which they were pressed.
        tapped: The keys that were pressed since the last such message.
        number: Counts these messages, so that a frame can say which of them it shows.
    """

    held: tuple[str, ...]
    tapped: tuple[str, ...]
    number: int


@dataclass(frozen=True)
class Command:
    """A word: `pause`, `single`, `save`, `rest` (the page is left), `ask` or `release`."""

    word: str


@dataclass(frozen=True)
class Speed:
    """Play at one of the session's speeds, by index."""

    index: int


@dataclass(frozen=True)
class Seek:
    """Look at a step."""

    step: int


@dataclass(frozen=True)
class TakeOver:
    """Go on with a run that was left, by its number."""

    number: int


@dataclass(frozen=True)
class End:
    """End the session."""

    save: bool


@dataclass(frozen=True)
class Ping:
    """Asks for an answer with the same number."""

    at: float


Message = Hello | Keys | Command | Speed | Seek | TakeOver | End | Ping

WORDS = frozenset({"pause", "single", "save", "rest", "ask", "release"})


def parse_message(data: str | bytes) -> Message:
    """A message of a page.

    Args:
        data: What came.

    Raises:
        InvalidArgumentError: It is not exactly one of the messages above.

    Example:
        >>> parse_message('{"type": "seek", "step": 120}')
        Seek(step=120)
    """
    if not isinstance(data, str) or len(data) > MAX_BYTES:
        raise InvalidArgumentError(f"a message is text of at most {MAX_BYTES} characters")
    try:
        document = json.loads(data, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError("a message is one JSON object without repeated names") from error
    if not isinstance(document, dict):
        raise InvalidArgumentError("a message is a JSON object")
    kind = document.pop("type", None)
    if not isinstance(kind, str) or kind not in _FORMS:
        raise InvalidArgumentError(f"a message has one of the types {', '.join(_FORMS)}")
    make, fields = _FORMS[kind]
    if document.keys() != fields.keys():
        raise InvalidArgumentError(
            f"a message {kind!r} has the fields {', '.join(fields) or 'none'}"
        )
    return make(*(check(document[name]) for name, check in fields.items()))


def changes(values: Sequence[float | None]) -> list[tuple[int, float | None]]:
    """A series by the steps at which it changes, thinned out where these are very many.

    Args:
        values: One value per step, from step 0.

    Returns:
        Steps and values from there on; at most some 2,000.

    Example:
        >>> changes([0, 0, 100, 100, 100, 50])
        [(0, 0), (2, 100), (5, 50)]
    """
    points = [
        (step, value) for step, value in enumerate(values) if not step or value != values[step - 1]
    ]
    every = math.ceil(len(points) / _MOST_POINTS)
    return points if every <= 1 else [*points[:-1:every], points[-1]]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name comes twice")
    return document


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise InvalidArgumentError("a count is a whole number from 0")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) <= _LARGEST:
        raise InvalidArgumentError("a time is a number")
    return float(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise InvalidArgumentError("a flag is true or false")
    return value


def _names(value: Any) -> tuple[str, ...]:
    fits = isinstance(value, list) and len(value) <= _MOST_KEYS
    if not fits or not all(isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY for key in value):
        raise InvalidArgumentError(f"keys are a list of at most {_MOST_KEYS} short names")
    return tuple(value)


def _word(value: Any) -> str:
    if not isinstance(value, str) or value not in WORDS:
        raise InvalidArgumentError(f"a command is one of {', '.join(sorted(WORDS))}")
    return value


def _seat(value: Any) -> str | None:
    if value is None:
        return None
    fits = isinstance(value, str) and len(value) == _SEAT_LENGTH and value.isascii()
    if not (fits and value.isalnum()):
        raise InvalidArgumentError(f"a seat is null or {_SEAT_LENGTH} letters and digits")
    return str(value)


_FORMS: dict[str, tuple[Callable[..., Message], dict[str, Callable[[Any], Any]]]] = {
    "hello": (Hello, {"seat": _seat}),
    "keys": (Keys, {"held": _names, "tapped": _names, "number": _whole}),
    "command": (Command, {"word": _word}),
    "speed": (Speed, {"index": _whole}),
    "seek": (Seek, {"step": _whole}),
    "take": (TakeOver, {"number": _whole}),
    "end": (End, {"save": _flag}),
    "ping": (Ping, {"at": _number}),
}
