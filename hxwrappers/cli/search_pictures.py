"""Pictures of a search for `hxw plot`."""

from __future__ import annotations

from pathlib import Path

from hxwrappers.cli.terminal import progress_bar
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.checkpoints import checkpoint_kind
from hxwrappers.runs import plot_search_tree
from hxwrappers.search.tree import KINDS, read_search_tree


def plot_search(file: Path, out: Path, title: str | None) -> str:
    """Draw the tree of a search on the map of rooms, and get what is said of it.

    Args:
        file: What `hxw demo search --checkpoint` keeps.
        out: The picture to write.
        title: Stands above it.
    """
    if checkpoint_kind(file) not in KINDS:
        raise InvalidArgumentError(
            f"{file} is neither a demonstration (*.npz) nor the checkpoint of a search (hxw demo "
            "search --checkpoint). Of a run, give the folder."
        )
    with progress_bar("state") as progress:
        tree = read_search_tree(file, progress)
    said = (
        f"{tree.env_id}: {len(tree.rooms)} rooms, {len(tree.places):,} states, best score "
        f"{max(tree.scores, default=0.0):g} in {tree.steps:,} steps"
    )
    plot_search_tree(tree, out, title or said)
    return said
