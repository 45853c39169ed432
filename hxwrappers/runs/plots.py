"""Plots of training runs, bonuses, novelty features, and the road to a robust agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hxwrappers._utils.modules import import_optional
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files import atomic_write


def pyplot() -> Any:
    """The module `matplotlib.pyplot`, made to draw to files only.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    import_optional("matplotlib", "Pictures need matplotlib", "plots").use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    return plt


def save_figure(
    figure: Any, path: Path, rect: tuple[float, float, float, float] | None = (0, 0, 1, 1)
) -> None:
    """Write a figure atomically and close it.

    Args:
        figure: The figure.
        path: The picture to write, its suffix one that matplotlib knows; its folder is made.
        rect: Where the axes shall be tightened into; None leaves them as they are.

    Raises:
        InvalidArgumentError: The suffix is none that matplotlib knows.
    """
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.removeprefix(".").lower() not in known:
        raise InvalidArgumentError(
            f"{path} does not say what kind of picture it shall be; end it in one of "
            f"{', '.join('.' + each for each in known)}."
        )
    if rect is not None:
        figure.tight_layout(rect=rect)
    atomic_write(path, lambda file: figure.savefig(file, dpi=130))
    pyplot().close(figure)


Rows = Sequence[Mapping[str, float]]

PANELS = (
    ("return_mean", "episode return, mean of 100", "linear"),
    ("rooms", "rooms visited", "linear"),
    ("rewarded", "share of episodes with a reward", "linear"),
    ("way_score", "score of the best way", "linear"),
    ("way_reach", "reach of starts on ways, in steps", "linear"),
    ("bonus_mean", "bonus added to a step's reward", "log"),
    ("distillation_loss", "distillation loss", "log"),
    ("contrastive_loss", "contrastive loss", "log"),
    ("feature_magnitude", "feature magnitude", "log"),
    ("score", "best score of the search", "linear"),
    ("cells", "cells or states of the search", "linear"),
    ("frontier", "frontier: step of the demonstration", "linear"),
    ("success_rate", "episodes that succeed", "linear"),
    ("reward_sum", "rewards of an episode, mean of 100", "linear"),
    ("share_mean", "share of the checkpoints reached", "linear"),
    ("entropy", "entropy of the policy", "linear"),
)
"""What is drawn of a run: the name in its rows, what stands above it, and the scale."""


def plot_history(rows: Rows, path: Path, title: str = "") -> None:
    """Draw the history of a training run; see `plot_runs`.

    Args:
        rows: Rows of `hxwrappers.sb3.training_run.History` or `hxwrappers.runs.logs.read_run`.
        path: The picture to write.
        title: Stands above it.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plot_runs({"": rows}, path, title)


def plot_runs(
    runs: Mapping[str, Rows],
    path: Path,
    title: str = "",
    only: Sequence[str] = (),
) -> None:
    """Draw the course of training runs, a panel for each of `PANELS` that is there.

    Args:
        runs: Rows with `steps` and figures, by the run's name.
        path: The picture to write.
        title: Stands above it.
        only: The names of the panels to draw; all unless given.

    Raises:
        InvalidArgumentError: There is nothing to draw in any of them.
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    names = {name for rows in runs.values() for row in rows for name in row}
    panels = [panel for panel in PANELS if panel[0] in names and (not only or panel[0] in only)]
    if not panels:
        raise InvalidArgumentError(
            f"There is nothing to draw in {', '.join(runs) or 'no runs'}: none of "
            f"{', '.join(only or [name for name, _, _ in PANELS])} was logged."
        )
    columns = min(3, len(panels)) if only else 3
    lines = -(-len(panels) // columns)
    size = (11, 3 * lines) if columns == 3 else (5.5 * columns, 4 * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, label, scale) in zip(axes.flat, panels, strict=False):
        for run, rows in runs.items():
            # On a log axis, the zeros of the warm-up have no place.
            shown = [row for row in rows if name in row and (scale == "linear" or row[name] > 0)]
            steps = [row["steps"] for row in shown]
            axis.plot(steps, [row[name] for row in shown], linewidth=1.2, label=run)
        axis.set(title=label, xlabel="steps", yscale=scale)
        axis.locator_params(axis="x", nbins=5)
        axis.grid(alpha=0.3)
    if len(runs) > 1:
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", fontsize=8, ncols=min(len(runs), 6))
    figure.suptitle(title)
    legend = 0.07 * -(-len(runs) // 6) / lines if len(runs) > 1 else 0.0
    save_figure(figure, path, rect=(0, legend, 1, 1))


def peaks(values: Sequence[float] | np.ndarray, count: int, apart: int) -> list[int]:
    """Where a series is highest, at places that are some way apart.

    Args:
        values: The series.
        count: How many places at most.
        apart: The least distance between two of them.

    Returns:
        Their indices in rising order.

    Example:
        >>> peaks([0, 5, 4, 0, 3, 1], count=2, apart=2)
        [1, 4]
    """
    found: list[int] = []
    for index in np.argsort(-np.asarray(values, np.float64), kind="stable").tolist():
        if len(found) < count and all(abs(index - other) >= apart for other in found):
            found.append(index)
    return sorted(found)


def plot_bonus(
    bonuses: Sequence[float] | np.ndarray,
    frames: Callable[[Sequence[int]], Sequence[np.ndarray]],
    path: Path,
    *,
    steps: Sequence[int] | None = None,
    title: str = "",
    label: str = "bonus",
    shown: int = 6,
) -> None:
    """Draw the bonus along an episode, with the frames at its peaks above it.

    Args:
        bonuses: The bonus of each observation.
        frames: Gives the pictures at indices of `bonuses`, each `(height, width, 3)`, `uint8`.
        path: The picture to write.
        steps: The step of each observation; counted from 0 unless given.
        title: Stands above it.
        label: What the values are.
        shown: How many peaks.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    at = peaks(bonuses, shown, max(1, len(bonuses) // (2 * shown)))
    values = np.asarray(bonuses, np.float64)
    places = np.arange(len(values)) if steps is None else np.asarray(steps)
    figure = plt.figure(figsize=(11, 5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    for axis, index, frame in zip(
        above.subplots(1, len(at), squeeze=False)[0], at, frames(at), strict=True
    ):
        axis.imshow(frame)
        axis.set_axis_off()
        axis.set_title(f"step {places[index]}\n{values[index]:.3g}", fontsize=8)
    axis = below.subplots()
    axis.plot(places, values, linewidth=0.9)
    axis.plot(places[at], values[at], "o", markersize=5)
    axis.set(xlabel="step", ylabel=label, xlim=(places[0], places[-1]))
    axis.grid(alpha=0.3)
    figure.suptitle(title)
    save_figure(figure, path, rect=None)


def plot_features(
    features: Mapping[str, np.ndarray],
    labels: Sequence[int] | Sequence[str],
    path: Path,
    label: str = "room",
) -> None:
    """Draw features in two dimensions by t-SNE, coloured by a label, one panel for each set.

    The picture by which CND explains itself: a random target tells rooms apart but sees little
    inside them, a trained target spreads them out.

    Args:
        features: Sets of features of the same observations by name, each `(number, features)`.
        labels: Label of each observation.
        path: The picture to write.
        label: What the labels are.

    Raises:
        DependencyNotInstalled: matplotlib or scikit-learn is missing.
    """
    plt = pyplot()
    manifold = import_optional("sklearn.manifold", "t-SNE needs scikit-learn", "plots")
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    figure, axes = plt.subplots(1, len(features), figsize=(5 * len(features), 4.6), squeeze=False)
    points: Any = None
    for axis, (name, values) in zip(axes[0], features.items(), strict=True):
        perplexity = min(30.0, (len(values) - 1) / 3)
        flat = manifold.TSNE(random_state=0, perplexity=perplexity, init="pca").fit_transform(
            values
        )
        points = axis.scatter(flat[:, 0], flat[:, 1], c=codes, cmap="turbo", s=6, alpha=0.8)
        axis.set(title=name, xticks=[], yticks=[])
    handles, _ = points.legend_elements(num=None)
    figure.legend(
        handles, [str(value) for value in names], title=label, loc="center right", fontsize=8
    )
    save_figure(figure, path, rect=(0, 0, 0.92, 1))


_CONDITIONS = {
    "plain": "plain",
    "noop": "no-ops",
    "sticky": "sticky actions",
    "epsilon": "epsilon",
}


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
