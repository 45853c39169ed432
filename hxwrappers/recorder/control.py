"""Control of a session: the client that plays, the ones that watch, their commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder import Controls, KeyMap, PlaySession
from hxwrappers.recorder.keys import action_meanings
from hxwrappers.recorder.messages import Command, End, Keys, Message, Seek, Speed, TakeOver, changes
from hxwrappers.recorder.session import SPEEDS
from hxwrappers.recorder.timeline import View

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
