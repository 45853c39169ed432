"""Trajectories that share their beginnings, and the states that they lead to."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Node", "Start"]


class Node:
    """The end of a trajectory: the node it goes on from, and the actions since then.

    What two trajectories have in common is stored once, and a node that neither a cell nor a later
    node refers to any more is freed, so that memory grows with the archive and not with the search.

    Args:
        parent: The node before, or None for the reset.
        actions: The actions since then, packed (see `Actions.pack`).

    Example:
        >>> start = Node(None, b"")
        >>> left = Node(start, b"33")
        >>> Node(left, b"1").trajectory()
        b'331'
    """

    __slots__ = ("actions", "parent")

    def __init__(self, parent: Node | None, actions: bytes) -> None:
        self.parent = parent
        self.actions = actions

    def trajectory(self) -> bytes:
        """All actions from the reset to here, packed."""
        parts = []
        node: Node | None = self
        while node is not None:
            parts.append(node.actions)
            node = node.parent
        return b"".join(reversed(parts))


class Start(NamedTuple):
    """A state to explore from.

    Attributes:
        score: The return on the way to it.
        length: The environment's steps on the way to it.
        lives: The lives left, or None.
        snapshot: The packed state, or None where it must be made again by the actions.
        actions: All actions from the reset, packed; empty where there is a snapshot.
        seed: Seed of the random actions.
    """

    score: float
    length: int
    lives: int | None
    snapshot: Any
    actions: bytes
    seed: int
