"""The keys that control a recording and not the game."""

from __future__ import annotations

from dataclasses import astuple, dataclass

__all__ = ["Controls"]


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
