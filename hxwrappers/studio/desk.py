"""What the client that controls wants, done to the session: no network, no thread, no clock."""

from __future__ import annotations

from typing import Any

from hxwrappers.demos.play import (
    SPEEDS,
    Controls,
    KeyMap,
    PlaySession,
    View,
    action_meanings,
)
from hxwrappers.errors import InvalidArgumentError, StudioMessageError
from hxwrappers.studio.messages import (
    Command,
    End,
    Keys,
    Message,
    Seek,
    Speed,
    TakeOver,
    changes,
)

__all__ = ["CONTROLS", "Desk"]

CONTROLS = Controls()


class Desk:
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
            StudioMessageError: It has keys or a speed that there are not.
        """
        if isinstance(message, Keys) and not self._allowed.issuperset(
            message.held + message.tapped
        ):
            raise StudioMessageError(f"the keys are {', '.join(sorted(self._allowed))}")
        if isinstance(message, Speed) and message.index >= len(SPEEDS):
            raise StudioMessageError(f"there are {len(SPEEDS)} speeds")

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

    def let_go(self) -> None:
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
            self.let_go()
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
            "keys": [{"names": names, "does": does} for names, does in self._keys.alone(meanings)],
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
