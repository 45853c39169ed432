"""Plots of demonstrations: the return over the steps, and the route; extra `plots`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos import Demo, Route
from hxwrappers.demos.route import Moment
from hxwrappers.runs.plots import pyplot, save_figure
from hxwrappers.runs.room_map import ROOM_HEIGHT, ROOM_WIDTH, corner, draw_rooms, on_map

_FAR = 24
_HALF_LETTER = 5
_MOMENTS_IN_ROW = 8


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
        _draw_pyramid(part.subplots(), route, level, several=len(levels) > 1)
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


def _draw_pyramid(axis: Any, route: Route, level: int, *, several: bool) -> None:
    draw_rooms(axis, route.rooms, level)
    _draw_way(axis, route, level)
    if several:
        axis.set_title(f"level {level + 1}", fontsize=9)


def _draw_way(axis: Any, route: Route, level: int) -> None:
    from matplotlib.collections import LineCollection  # noqa: PLC0415 - optional
    from matplotlib.colors import ListedColormap  # noqa: PLC0415

    points = np.array([on_map(place) for place in route.places], float)
    here = np.array([place.level == level for place in route.places])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    # Who dies or enters a room through its side is somewhere else at once; no line leads there.
    near = np.abs(np.diff(points, axis=0)).max(axis=1) < _FAR
    shown = near & here[:-1] & here[1:]
    # The darkest quarter of the colours would be lost on the dark rooms.
    colours = ListedColormap(pyplot().get_cmap("plasma")(np.linspace(0.25, 1, 256)))
    lines = LineCollection(pieces[shown], cmap=colours, linewidths=1.6, zorder=4)
    lines.set_array(np.arange(1, len(points))[shown])
    lines.set_clim(0, len(points))
    axis.add_collection(lines)
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
