"""Entries and archives as plain values for a checkpoint, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch

from hxwrappers.errors import SnapshotError
from hxwrappers.search.cells.archive import Archive, Entry, Node
from hxwrappers.snapshots.codec import decode, encode

_NO_LIVES = -1


def entries_state(entries: Sequence[Entry]) -> dict[str, Any]:
    """Entries as tensors.

    Trajectories stay the shared tree that they are. Snapshots that are not bytes are left out;
    they are made again from the trajectories.
    """
    numbers, nodes = _numbered([entry.node for entry in entries])
    return {
        "scores": torch.tensor([entry.score for entry in entries], dtype=torch.float64),
        "lengths": torch.tensor([entry.length for entry in entries], dtype=torch.int64),
        "lives": torch.tensor(
            [_NO_LIVES if entry.lives is None else entry.lives for entry in entries],
            dtype=torch.int64,
        ),
        "nodes": torch.tensor([numbers[id(entry.node)] for entry in entries], dtype=torch.int64),
        "parents": torch.tensor(
            [-1 if node.parent is None else numbers[id(node.parent)] for node in nodes],
            dtype=torch.int64,
        ),
        "actions": pack([node.actions for node in nodes]),
        "snapshots": pack(
            [entry.snapshot if isinstance(entry.snapshot, bytes) else b"" for entry in entries]
        ),
        "pictures": pack([entry.picture or b"" for entry in entries]),
    }


def entries_from_state(state: Mapping[str, Any], action_size: int) -> list[Entry]:
    """The entries that `entries_state` wrote; callers turn errors in `MALFORMED` into their own.

    Args:
        state: What it wrote.
        action_size: Bytes of a packed action.
    """
    nodes: list[Node] = []
    for parent, actions in zip(state["parents"].tolist(), unpack(state["actions"]), strict=True):
        if not -1 <= parent < len(nodes) or len(actions) % action_size:
            raise ValueError("a trajectory that goes on from a later one")
        nodes.append(Node(nodes[parent] if parent >= 0 else None, actions))
    return [
        Entry(
            score,
            length,
            None if lives == _NO_LIVES else lives,
            nodes[node],
            data or None,
            picture or None,
        )
        for score, length, lives, node, data, picture in zip(
            state["scores"].tolist(),
            state["lengths"].tolist(),
            state["lives"].tolist(),
            state["nodes"].tolist(),
            unpack(state["snapshots"]),
            unpack(state["pictures"]),
            strict=True,
        )
    ]


def cells_state(archive: Archive) -> dict[str, Any]:
    """The cells of an archive and their visits as tensors; its entries have their own state."""
    return {
        "cells": _bytes(encode(archive.cells)),
        "visits": torch.from_numpy(archive.visits.copy()),
    }


def archive_from_state(state: Mapping[str, Any], entries: list[Entry]) -> Archive:
    """The archive of which `cells_state` wrote the cells; errors as of `entries_from_state`.

    Args:
        state: What it wrote.
        entries: The best way to each cell.
    """
    try:
        cells = decode(state["cells"].numpy().tobytes())
    except SnapshotError as error:
        raise ValueError(str(error)) from error
    return Archive.restored(cells, entries, state["visits"].numpy().astype(np.int64))


def _numbered(ends: list[Node]) -> tuple[dict[int, int], list[Node]]:
    """All nodes on the way to some, parents before children, and their numbers by identity."""
    numbers: dict[int, int] = {}
    nodes: list[Node] = []
    for end in ends:
        way: list[Node] = []
        node: Node | None = end
        while node is not None and id(node) not in numbers:
            way.append(node)
            node = node.parent
        for new in reversed(way):
            numbers[id(new)] = len(nodes)
            nodes.append(new)
    return numbers, nodes


def _bytes(data: bytes) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(data, np.uint8).copy())


def pack(parts: Sequence[bytes]) -> dict[str, torch.Tensor]:
    """Strings of bytes as two tensors."""
    ends = list(accumulate(map(len, parts), initial=0))
    return {"data": _bytes(b"".join(parts)), "ends": torch.tensor(ends)}


def unpack(packed: Mapping[str, torch.Tensor]) -> list[bytes]:
    """The strings that `pack` packed."""
    data = packed["data"].numpy().tobytes()
    return [data[start:end] for start, end in pairwise(packed["ends"].tolist())]
