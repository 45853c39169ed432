"""Who controls the game: one client at most; the others watch and may ask for it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Role", "Room"]


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


class Room:
    """The clients, by seat, a name that each of them keeps when it connects again.

    The first client controls. When it leaves, the one that has asked longest does; where none has,
    control is free until somebody asks for it or the one that left comes back.

    Attributes:
        controller: The seat that controls, or None.

    Example:
        >>> room = Room()
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
