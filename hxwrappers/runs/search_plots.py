"""The tree of a search on the map of rooms, and the road from a search to a robust agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.runs.plots import pyplot, save_figure
from hxwrappers.runs.room_map import draw_rooms, on_map

if TYPE_CHECKING:
    from hxwrappers.search.tree import SearchTree

Rows = Sequence[Mapping[str, float]]
_CONDITIONS = {
    "plain": "plain",
    "noop": "no-ops",
    "sticky": "sticky actions",
    "epsilon": "epsilon",
}


def plot_search_tree(tree: SearchTree, path: Path, title: str = "") -> None:
    """Draw the states that a search keeps on the map of the rooms, each joined to its parent.

    The colour is the steps on the way there, and the white line the way with the best score.

    Args:
        tree: What `hxwrappers.search.tree.read_search_tree` read.
        path: The picture to write.
        title: Stands above it.

    Raises:
        InvalidArgumentError: There are no states.
        DependencyNotInstalled: matplotlib is missing.
    """
    if not tree.places:
        raise InvalidArgumentError("The search keeps no states that could be drawn.")
    plt = pyplot()
    levels = sorted({place.level for place in tree.places})
    figure, axes = plt.subplots(
        len(levels), 1, figsize=(10, 4.4 * len(levels) + 0.5), squeeze=False, layout="constrained"
    )
    lines: Any = None
    for axis, level in zip(axes[:, 0], levels, strict=True):
        draw_rooms(axis, tree.rooms, level)
        lines = _draw_tree(axis, tree, level)
        if len(levels) > 1:
            axis.set_title(f"level {level + 1}", fontsize=9)
    figure.colorbar(lines, ax=axes, label="steps on the way there", shrink=0.8, pad=0.01)
    figure.suptitle(title)
    save_figure(figure, path, rect=None)


def _draw_tree(axis: Any, tree: SearchTree, level: int) -> Any:
    from matplotlib.collections import LineCollection  # noqa: PLC0415 - optional
    from matplotlib.colors import ListedColormap  # noqa: PLC0415

    points = np.array([on_map(place) for place in tree.places], float)
    here = np.array([place.level == level for place in tree.places])
    edges = np.array(
        [
            (parent, number)
            for number, parent in enumerate(tree.parents)
            if parent >= 0 and here[number] and here[parent]
        ],
        dtype=int,
    ).reshape(-1, 2)
    lengths = np.array(tree.lengths, float)
    # The darkest quarter of the colours would be lost on the dark rooms.
    colours = ListedColormap(pyplot().get_cmap("plasma")(np.linspace(0.25, 1, 256)))
    lines = LineCollection(points[edges], cmap=colours, linewidths=0.5, alpha=0.6, zorder=3)
    lines.set_array(lengths[edges[:, 1]])
    lines.set_clim(0, lengths.max())
    axis.add_collection(lines)
    axis.scatter(
        *points[here].T, c=lengths[here], cmap=colours, vmin=0, vmax=lengths.max(), s=2, zorder=4
    )
    way = [number for number in tree.way_to(tree.best) if here[number]]
    score = tree.scores[tree.best]
    axis.plot(*points[way].T, color="white", linewidth=1.4, zorder=6, label=f"way to {score:g}")
    axis.plot(*points[way[-1:]].T, "*", ms=11, mfc="gold", mec="black", zorder=7)
    axis.legend(loc="upper left", fontsize=8, facecolor="0.4", labelcolor="white")
    return lines


def plot_road(
    searches: Mapping[str, Rows],
    runs: Mapping[str, Rows],
    evaluations: Mapping[str, Mapping[str, Any]],
    path: Path,
    title: str = "",
) -> None:
    """Draw the road from nothing to a robust agent: search, curriculum, evaluation.

    Args:
        searches: Rows with `steps` and `score`, by name.
        runs: Rows with `steps` and `frontier` of runs with a curriculum, by name.
        evaluations: What `hxw evaluate --json` printed, by name.
        path: The picture to write.
        title: Stands above it.

    Raises:
        InvalidArgumentError: One of the three is missing.
        DependencyNotInstalled: matplotlib is missing.
    """
    missing = [
        what
        for what, given in (
            ("the log of a search (hxw demo search --log)", searches),
            ("the log of a run with a curriculum", runs),
            ("an evaluation (hxw evaluate --json)", evaluations),
        )
        if not given
    ]
    if missing:
        raise InvalidArgumentError(f"The road has three parts; missing is {', '.join(missing)}.")
    plt = pyplot()
    figure, (first, second, third) = plt.subplots(1, 3, figsize=(13, 3.8))
    _draw_series(first, searches, "score", "steps-post")
    first.set(title="1. search: best score", xlabel="frames or steps of the environment")
    _draw_series(second, runs, "frontier", "default")
    second.set(title="2. curriculum: frontier", xlabel="steps of the agent", ylim=(0, None))
    _draw_bars(third, evaluations)
    third.set(title="3. evaluation from the true start", ylabel="mean return, 95 %")
    for axis in (first, second, third):
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    save_figure(figure, path)


def _draw_series(axis: Any, runs: Mapping[str, Rows], name: str, style: str) -> None:
    for run, rows in runs.items():
        shown = [row for row in rows if name in row]
        axis.plot(
            [row["steps"] for row in shown],
            [row[name] for row in shown],
            linewidth=1.3,
            label=run,
            drawstyle=style,
        )
    axis.locator_params(axis="x", nbins=5)
    if len(runs) > 1:
        axis.legend(fontsize=7)


def _draw_bars(axis: Any, evaluations: Mapping[str, Mapping[str, Any]]) -> None:
    width = 0.8 / len(evaluations)
    starts = [
        name
        for name in _CONDITIONS
        if any(name in document["starts"] for document in evaluations.values())
    ]
    for number, (label, document) in enumerate(evaluations.items()):
        known = [start for start in starts if start in document["starts"]]
        means = [document["starts"][start]["mean"] for start in known]
        values = np.array([mean["value"] for mean in means])
        errors = np.array(
            [[mean["value"] - mean["low"], mean["high"] - mean["value"]] for mean in means]
        )
        places = [
            starts.index(start) + (number - (len(evaluations) - 1) / 2) * width for start in known
        ]
        axis.bar(places, values, width * 0.92, yerr=np.maximum(errors.T, 0), capsize=3, label=label)
    axis.set_xticks(range(len(starts)), [_CONDITIONS[start] for start in starts], fontsize=8)
    if len(evaluations) > 1:
        axis.legend(fontsize=7)
