"""Trajectories that share their beginnings: each knows its parent and its own last actions."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

__all__ = ["Node", "pack_actions", "unpack_actions"]

_TYPE = "H"


class Node:
    """The end of a trajectory: the node it goes on from, and the actions since then.

    What two trajectories have in common is stored once, and a node that neither a cell nor a later
    node refers to any more is freed, so that memory grows with the archive and not with the search.

    Args:
        parent: The node before, or None for the reset.
        actions: The actions since then, as `pack_actions` packs them.

    Example:
        >>> start = Node(None, b"")
        >>> left = Node(start, pack_actions([3, 3]))
        >>> Node(left, pack_actions([1])).trajectory()
        [3, 3, 1]
    """

    __slots__ = ("actions", "parent")

    def __init__(self, parent: Node | None, actions: bytes) -> None:
        self.parent = parent
        self.actions = actions

    def trajectory(self) -> list[int]:
        """All actions from the reset to here."""
        parts = []
        node: Node | None = self
        while node is not None:
            parts.append(node.actions)
            node = node.parent
        return unpack_actions(b"".join(reversed(parts)))


def pack_actions(actions: Iterable[int]) -> bytes:
    """Actions as bytes, two an action."""
    return array(_TYPE, actions).tobytes()


def unpack_actions(packed: bytes) -> list[int]:
    """The actions that `pack_actions` packed.

    Example:
        >>> unpack_actions(pack_actions([0, 17]))
        [0, 17]
    """
    return array(_TYPE, packed).tolist()
