"""The tree of a search of Montezuma's Revenge: where its states are, and which led to which."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.demos.environment import frame_by_frame, import_plugin
from hxwrappers.demos.route import ROOM_ROWS, Place, is_montezuma, read_place
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.checkpoints import checkpoint_errors, load_checkpoint
from hxwrappers.search.cells.archive import Entry, Node
from hxwrappers.search.cells.bursts import SnapshotPacker
from hxwrappers.search.cells.search import Search
from hxwrappers.search.cells.state import entries_from_state
from hxwrappers.search.search import NoveltySearch
from hxwrappers.snapshots import find_snapshotter

KINDS = (Search.kind, NoveltySearch.kind)
"""What the checkpoints of searches are called."""
_PICTURES_OF_ROOM = 15


@dataclass
class SearchTree:
    """The states that a search keeps.

    Attributes:
        env_id: The environment's id.
        steps: The steps of the environment that the search took.
        places: Where each state is.
        scores: The return on the way to each.
        lengths: The environment's steps on the way to each.
        parents: The number of the nearest state that each was reached from, -1 for none.
        rooms: A picture of each room without most of what moves in it, by level and number.
    """

    env_id: str
    steps: int
    places: list[Place] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    rooms: dict[tuple[int, int], npt.NDArray[np.uint8]] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """The number of the state with the highest score, of those the one reached soonest."""
        order = zip(self.scores, (-length for length in self.lengths), strict=True)
        return max(enumerate(order), key=lambda pair: pair[1])[0]

    def way_to(self, number: int) -> list[int]:
        """The states on the way to one, from the first to itself."""
        way = []
        while number >= 0:
            way.append(number)
            number = self.parents[number]
        return way[::-1]


def read_search_tree(
    path: str | os.PathLike[str], progress: Callable[[int, int], object] | None = None
) -> SearchTree:
    """Read the tree from the file in which a search is kept (`hxw demo search --checkpoint`).

    Args:
        path: The file.
        progress: Called with the number of states looked at, and of all.

    Raises:
        CheckpointError: The file is none of a search, or damaged.
        InvalidArgumentError: The search is of another game, of which there is no map.
    """
    state = load_checkpoint(path, KINDS)
    with checkpoint_errors(f"{os.fspath(path)} is damaged"):
        settings = state["settings"]
        # Actions are not played here, so their size plays no part.
        kept = state["archive"] if "archive" in state else state["population"]["entries"]
        entries = entries_from_state(kept, action_size=1)
        reference = state["reference"].numpy().tobytes()
        tree = SearchTree(str(settings["env_id"]), int(state["steps"]))
        env = _game(settings, os.fspath(path))
    try:
        packer = SnapshotPacker(find_snapshotter(env), reference)
        _look(tree, [entry for entry in entries if entry.snapshot], env, packer, progress)
    finally:
        env.close()
    return tree


def _game(settings: Mapping[str, Any], path: str) -> gym.Env[Any, Any]:
    env_id = str(settings["env_id"])
    import_plugin(env_id)
    arguments = {**frame_by_frame(env_id, dict(settings["env_args"])), "render_mode": "rgb_array"}
    env = gym.make(env_id, disable_env_checker=True, **arguments)
    if not is_montezuma(env):
        env.close()
        raise InvalidArgumentError(
            f"{path} is a search of {env_id}, but the rooms of ALE/MontezumaRevenge-v5 alone are "
            "known well enough to draw a map."
        )
    env.reset(seed=settings["seed"])
    return env


def _look(
    tree: SearchTree,
    entries: list[Entry],
    env: gym.Env[Any, Any],
    packer: SnapshotPacker,
    progress: Callable[[int, int], object] | None,
) -> None:
    numbers: dict[int, int] = {id(entry.node): number for number, entry in enumerate(entries)}
    pictures: dict[tuple[int, int], list[npt.NDArray[np.uint8]]] = {}
    for number, entry in enumerate(entries):
        packer.restore(entry.snapshot)
        place = read_place(env)
        tree.places.append(place)
        tree.scores.append(entry.score)
        tree.lengths.append(entry.length)
        tree.parents.append(_parent(entry.node, numbers))
        shown = pictures.setdefault((place.level, place.room), [])
        if len(shown) < _PICTURES_OF_ROOM:
            env.step(0)  # the screen is drawn by a step alone
            if read_place(env)[:2] == place[:2]:
                shown.append(np.array(env.render(), np.uint8)[ROOM_ROWS])
        if progress is not None:
            progress(number + 1, len(entries))
    tree.rooms = {
        room: np.median(np.stack(shown), axis=0).astype(np.uint8)
        for room, shown in pictures.items()
        if shown
    }


def _parent(node: Node, numbers: Mapping[int, int]) -> int:
    """The number of the nearest state before a node, of those that are kept."""
    before = node.parent
    while before is not None and id(before) not in numbers:
        before = before.parent
    return -1 if before is None else numbers[id(before)]
