"""Control of a session: the page's messages, the client that plays, the ones that watch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder import Controls, KeyMap, PlaySession
from hxwrappers.recorder.keys import action_meanings
from hxwrappers.recorder.session import SPEEDS
from hxwrappers.recorder.timeline import View

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


CONTROLS = Controls()


class SessionControl:
    """Takes messages, and gives what a page shows.

    Args:
        session: What is played.
        keys: Its keys.

    Attributes:
        session: What is played.
        number: The number of the last `Keys` that were taken.
    """

    def __init__(self, session: PlaySession, keys: KeyMap) -> None:
        self.session = session
        self.number = 0
        self._timeline = session.timeline
        self._keys = keys
        self._allowed = keys.names | {CONTROLS.rewind}
        self._held: tuple[str, ...] = ()
        self._tapped: list[str] = []
        self._seek: int | None = None

    def check(self, message: Message) -> None:
        """Check what only this session can tell of a message.

        Raises:
            InvalidArgumentError: It has keys or a speed that there are not.
        """
        if isinstance(message, Keys) and not self._allowed.issuperset(
            message.held + message.tapped
        ):
            raise InvalidArgumentError(f"the keys are {', '.join(sorted(self._allowed))}")
        if isinstance(message, Speed) and message.index >= len(SPEEDS):
            raise InvalidArgumentError(f"there are {len(SPEEDS)} speeds")

    def handle(self, message: Message, now: float) -> None:
        """Do what the client that controls wants; what cannot be done is said.

        Args:
            message: A message that `check` let pass.
            now: Seconds, by any clock that does not go back.
        """
        try:
            self._do(message, now)
        except (InvalidArgumentError, OSError) as error:
            self.session.say(str(error), now)

    def release_all(self) -> None:
        """No key is held any more, and the game waits: who controls is gone or looks elsewhere."""
        self._held, self._tapped, self.number = (), [], 0
        self.session.wait()

    def save_all(self) -> None:
        """Save the whole run, also where an earlier step is looked at."""
        self._timeline.go_to(self._timeline.length)
        self.session.save()

    def tick(self, now: float) -> View:
        """Do what is due."""
        if self._seek is not None:
            self.session.go_to(self._seek)
            self._seek = None
        tapped, self._tapped = self._tapped, []
        return self.session.advance(self._held, tapped, now)

    def _do(self, message: Message, now: float) -> None:
        session = self.session
        if isinstance(message, Keys):
            self._held, self.number = message.held, message.number
            self._tapped += message.tapped
        elif isinstance(message, Seek):
            # While a scrubber is dragged only the latest place matters.
            self._seek = message.step
        elif isinstance(message, Speed):
            session.set_speed(message.index)
        elif isinstance(message, TakeOver):
            self._seek = None  # a place in the take before
            self._timeline.switch(message.number)
            session.rest()
        elif isinstance(message, End):
            session.end(save=message.save)
        elif isinstance(message, Command):
            self._obey(message.word, now)

    def _obey(self, word: str, now: float) -> None:
        session = self.session
        if word == "pause":
            session.toggle_pause()
        elif word == "single":
            session.single_steps(self._held)
        elif word == "rest":
            self.release_all()
        elif word == "save":
            path = session.save()
            session.say("nothing to save yet" if path is None else f"saved {path.name}", now)

    @property
    def run(self) -> int:
        """The number of the run that is being played; another one has other series."""
        return self._timeline.number

    def describe_run(self) -> dict[str, Any]:
        """The series of the run, and the runs that were left, as JSON values."""
        timeline = self._timeline
        return {
            "type": "run",
            "number": timeline.number,
            "length": timeline.length,
            "returns": changes(timeline.returns),
            "lives": changes(timeline.lives),
            "takes": [
                {
                    "number": take.number,
                    "steps": len(take.demo),
                    "score": take.demo.score,
                    "lives": take.lives[-1],
                    "left_at": take.left_at,
                }
                for take in reversed(timeline.takes)
            ],
        }

    def describe_keys(self) -> dict[str, Any]:
        """The keys, what they do and the speeds, as JSON values."""
        meanings = action_meanings(self.session.recording.env)
        return {
            "keys": [
                {"names": names, "does": does} for names, does in self._keys.single_keys(meanings)
            ],
            "allowed": sorted(self._allowed),
            "controls": vars(CONTROLS),
            "speeds": SPEEDS,
            "turns": self._keys.idle is None,
        }

    def describe_view(self, view: View, number: int) -> dict[str, Any]:
        """The status of a view as JSON values.

        Args:
            view: The view.
            number: The number of the last `Keys` that its picture shows.
        """
        return {**vars(view.status), "number": number, "held": self._held}


@dataclass(frozen=True)
class Role:
    """What one client is told of who controls.

    Attributes:
        controls: Whether it does itself.
        free: Whether nobody does.
        others: How many other clients there are.
        asked: Whether the client has asked for control, or, where it has it, somebody else has.
    """

    controls: bool
    free: bool
    others: int
    asked: bool


class ClientRoles:
    """The clients, by seat, a name that each of them keeps when it connects again.

    The first client controls. When it leaves, the one that has asked longest does; where none has,
    control is free until somebody asks for it or the one that left comes back.

    Attributes:
        controller: The seat that controls, or None.

    Example:
        >>> room = ClientRoles()
        >>> for seat in ("ann", "bob"):
        ...     room.enter(seat)
        >>> room.ask("bob")
        >>> room.controller, room.view("ann").asked
        ('ann', True)
        >>> room.release("ann")
        >>> room.controller
        'bob'
    """

    def __init__(self) -> None:
        self.controller: str | None = None
        self._seats: list[str] = []
        self._asking: list[str] = []
        self._former: str | None = None

    def __len__(self) -> int:
        return len(self._seats)

    def enter(self, seat: str) -> None:
        """A client comes in."""
        if not self._seats or (self.controller is None and seat == self._former):
            self.controller = seat
        self._seats.append(seat)

    def leave(self, seat: str) -> None:
        """A client is gone."""
        self._seats.remove(seat)
        self._asking = [other for other in self._asking if other != seat]
        if seat == self.controller:
            self.release(seat)
            self._former = seat

    def ask(self, seat: str) -> None:
        """A client wants control, and has it at once where nobody else does."""
        if self.controller is None:
            self.controller = seat
        elif seat != self.controller and seat not in self._asking:
            self._asking.append(seat)

    def release(self, seat: str) -> None:
        """A client gives control away, to the one that has asked longest; others give nothing."""
        if seat == self.controller:
            self.controller = self._asking.pop(0) if self._asking else None
            self._former = None

    def view(self, seat: str) -> Role:
        """What a client is told."""
        controls = seat == self.controller
        asked = bool(self._asking) if controls else seat in self._asking
        return Role(controls, self.controller is None, len(self._seats) - 1, asked)
