"""Plots on the map of rooms: demonstrations, and the tree of a search; extra `plots`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos import Demo, Route
from hxwrappers.demos.route import ROOM_ROWS, Moment, Place, room_position
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.runs.plots import pyplot, save_figure

if TYPE_CHECKING:
    from hxwrappers.search.tree import SearchTree


ROOM_WIDTH, ROOM_HEIGHT = 160, ROOM_ROWS.stop - ROOM_ROWS.start
_LEVEL_ROWS, _ROOMS, _GAP = 4, 24, 6
_FAR = 24
_HALF_LETTER = 5
_MOMENTS_IN_ROW = 8


def corner(room: int) -> tuple[int, int]:
    """Where a room's upper left corner is on the map."""
    row, column = room_position(room)
    return column * (ROOM_WIDTH + _GAP), row * (ROOM_HEIGHT + _GAP)


def on_map(place: Place) -> tuple[int, int]:
    """Where a place is on the map of its level."""
    left, top = corner(place.room)
    x, y = place.on_screen()
    return left + x, top + min(max(y - ROOM_ROWS.start, 0), ROOM_HEIGHT)


def draw_rooms(
    axis: Any, pictures: Mapping[tuple[int, int], npt.NDArray[np.uint8]], level: int
) -> None:
    """Draw the rooms of a level, those that were seen as they look and the others empty.

    Args:
        axis: Matplotlib's axes.
        pictures: The pictures of rooms, each `(151, 160, 3)`, by level and number.
        level: The level, from 0.
    """
    for number in range(_ROOMS):
        left, top = corner(number)
        axis.add_patch(
            pyplot().Rectangle(
                (left, top),
                ROOM_WIDTH,
                ROOM_HEIGHT,
                facecolor="0.96",
                edgecolor="0.8",
                linewidth=0.6,
            )
        )
        picture = pictures.get((level, number))
        if picture is not None:
            # Dimmed, so that the ways stand out.
            axis.imshow(
                picture * np.float32(0.6 / 255),
                extent=(left, left + ROOM_WIDTH, top + ROOM_HEIGHT, top),
                zorder=2,
            )
        colour = "0.6" if picture is None else "white"
        axis.text(left + 6, top + 22, str(number), fontsize=7, color=colour, zorder=5)
    axis.set_aspect("equal")
    axis.set_xlim(corner(15)[0] - _GAP, corner(23)[0] + ROOM_WIDTH + _GAP)
    axis.set_ylim(_LEVEL_ROWS * (ROOM_HEIGHT + _GAP), -_GAP)
    axis.set_axis_off()


def plot_demo(demo: Demo, route: Route, path: Path, title: str = "") -> None:
    """Draw a demonstration: its return over the steps, and below it where it went.

    For Montezuma's Revenge that is a map of each level's pyramid with the rooms that were entered
    and the way through them, from dark to bright. For other games it is the pictures at rewards and
    at the end.

    Args:
        demo: The demonstration.
        route: What its replay shows (`hxwrappers.demos.route.follow`).
        path: The picture to write.
        title: Stands above it.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    levels = sorted({level for level, _ in route.rooms})
    rows = -(-len(route.moments) // _MOMENTS_IN_ROW)
    heights = [2.0, *([4.1] * len(levels) if levels else [2.1] * rows)]
    figure = plt.figure(figsize=(10, sum(heights) + 0.6), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_return(parts[0].subplots(), demo, route)
    for part, level in zip(parts[1:], levels, strict=False):
        axis = part.subplots()
        draw_rooms(axis, route.rooms, level)
        _draw_way(axis, route, level)
        if len(levels) > 1:
            axis.set_title(f"level {level + 1}", fontsize=9)
    if not levels:
        for row, part in enumerate(parts[1:]):
            shown = route.moments[row * _MOMENTS_IN_ROW : (row + 1) * _MOMENTS_IN_ROW]
            _draw_moments(part, shown, min(_MOMENTS_IN_ROW, len(route.moments)))
    figure.suptitle(title)
    save_figure(figure, path, rect=None)


def _draw_return(axis: Any, demo: Demo, route: Route) -> None:
    axis.step(np.arange(len(demo) + 1), demo.returns(), where="post", color="black", linewidth=1.4)
    top = max(float(demo.returns().max()), 1.0)
    axis.set(xlim=(0, len(demo)), ylim=(min(0.0, demo.returns().min()), 1.3 * top))
    axis.set(xlabel="step", ylabel="return")
    axis.grid(alpha=0.25, axis="y")
    for step in route.deaths:
        axis.axvline(step, color="crimson", linewidth=0.8, linestyle=":")
    start = 0
    for index, (room, group) in enumerate(groupby(place.room for place in route.places)):
        stop = start + len(list(group))
        axis.axvspan(start, stop, color="steelblue", alpha=0.16 if index % 2 else 0.06, linewidth=0)
        if stop - start > len(demo) / 60:
            axis.text((start + stop) / 2, 1.19 * top, str(room), ha="center", fontsize=7)
        start = stop
    if route.places:
        axis.text(1.005, 0.915, "room", fontsize=7, transform=axis.transAxes)


def _draw_way(axis: Any, route: Route, level: int) -> None:
    points = np.array([on_map(place) for place in route.places], float)
    here = np.array([place.level == level for place in route.places])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    # Who dies or enters a room through its side is somewhere else at once; no line leads there.
    near = np.abs(np.diff(points, axis=0)).max(axis=1) < _FAR
    shown = near & here[:-1] & here[1:]
    numbers = np.arange(1, len(points))[shown]
    lines = _draw_lines(axis, pieces[shown], numbers, len(points), linewidths=1.6, zorder=4)
    ends = [at for at in (0, len(points) - 1) if here[at]]
    rewards = [step - 1 for step, _ in route.rewards if here[step - 1]]
    deaths = [step - 1 for step in route.deaths if here[step - 1]]
    for name, steps, mark, size, face, edge in (
        ("start", [at for at in ends if at == 0], "o", 6, "lime", "black"),
        ("end", [at for at in ends if at > 0], "s", 11, "none", "deepskyblue"),
        ("reward", rewards, "*", 9, "gold", "black"),
        ("life lost", deaths, "X", 7, "red", "black"),
    ):
        if steps:
            x, y = points[steps].T
            axis.plot(x, y, mark, ms=size, mfc=face, mec=edge, mew=0.8, zorder=6, label=name)
    axis.legend(loc="upper left", fontsize=8, frameon=False)
    _label_rewards(axis, route, level, points)
    axis.figure.colorbar(lines, ax=axis, label="step", shrink=0.8, pad=0.01)


def _label_rewards(axis: Any, route: Route, level: int, points: npt.NDArray[np.float64]) -> None:
    """Write the rewards beside their places, several equal ones of a room as one."""
    alike: dict[tuple[int, float], list[int]] = {}
    for step, reward in route.rewards:
        place = route.places[step - 1]
        if place.level == level:
            alike.setdefault((place.room, reward), []).append(step - 1)
    for (room, reward), steps in alike.items():
        x, y = points[steps].mean(axis=0)
        left, top = corner(room)
        high = y - top < ROOM_HEIGHT / 2
        text = f"{reward:+g}" + (f" ({len(steps)}x)" if len(steps) > 1 else "")
        half = len(text) * _HALF_LETTER
        axis.annotate(
            text,
            (min(max(x, left + half), left + ROOM_WIDTH - half), y),
            xytext=(0, -14 if high else 7),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color="white",
            zorder=7,
            bbox={"facecolor": "black", "alpha": 0.75, "pad": 0.8, "linewidth": 0},
        )


def _draw_moments(part: Any, moments: list[Moment], columns: int) -> None:
    axes = part.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.set_axis_off()
    for axis, moment in zip(axes, moments, strict=False):
        axis.imshow(moment.frame)
        axis.set_title(f"step {moment.step}\nreturn {moment.score:g}", fontsize=7)


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
    steps, style = lengths[edges[:, 1]], {"linewidths": 0.5, "alpha": 0.6, "zorder": 3}
    lines = _draw_lines(axis, points[edges], steps, lengths.max(), **style)
    axis.scatter(*points[here].T, c=lengths[here], cmap=lines.cmap, norm=lines.norm, s=2, zorder=4)
    way = [number for number in tree.way_to(tree.best) if here[number]]
    score = tree.scores[tree.best]
    axis.plot(*points[way].T, color="white", linewidth=1.4, zorder=6, label=f"way to {score:g}")
    axis.plot(*points[way[-1:]].T, "*", ms=11, mfc="gold", mec="black", zorder=7)
    axis.legend(loc="upper left", fontsize=8, facecolor="0.4", labelcolor="white")
    return lines


def _draw_lines(axis: Any, lines: Any, steps: npt.NDArray[Any], most: float, **style: float) -> Any:
    """Draw lines between pairs of places in the colours of their steps, from 0 to `most`."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415 - optional
    from matplotlib.colors import ListedColormap  # noqa: PLC0415

    # The darkest quarter of the colours would be lost on the dark rooms.
    colours = ListedColormap(pyplot().get_cmap("plasma")(np.linspace(0.25, 1, 256)))
    drawn = LineCollection(lines, cmap=colours, **style)
    drawn.set_array(steps)
    drawn.set_clim(0, most)
    axis.add_collection(drawn)
    return drawn
