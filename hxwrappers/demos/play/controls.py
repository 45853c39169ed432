"""The keys that control a recording and not the game."""

from __future__ import annotations

from dataclasses import astuple, dataclass

__all__ = ["Controls"]


@dataclass(frozen=True)
class Controls:
    """Names of the keys that control a recording.

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
    slower: str = "tab"
    save: str = "f5"
    help: str = "f1"
    leave: str = "escape"

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(astuple(self))

    def lines(self) -> list[str]:
        """What they do, a line each."""
        return [
            f"hold {self.rewind}: back in time",
            f"{self.pause}: pause    {self.single}: one step",
            f"{self.slower}: speed 1, 1/2, 1/4",
            f"{self.save}: save    {self.leave}: end",
            f"{self.help}: this help",
        ]
