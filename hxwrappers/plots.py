"""Pictures of runs, of what novelty models see and of what imitation pays; needs `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from hxwrappers._figures import pyplot, save_figure

if TYPE_CHECKING:
    from hxwrappers.video.replay import RewardReplay

__all__ = ["plot_features", "plot_history", "plot_reward_replay"]

PANELS = (
    ("return_mean", "episode return, mean of 100", "linear"),
    ("rooms", "rooms visited", "linear"),
    ("bonus_mean", "bonus added to a step's reward", "log"),
    ("distillation_loss", "distillation loss", "log"),
    ("contrastive_loss", "contrastive loss", "log"),
    ("feature_magnitude", "feature magnitude", "log"),
    ("frontier", "frontier: step of the demonstration", "linear"),
    ("success_rate", "episodes that succeed", "linear"),
    ("rollout/reward_sum", "rewards of an episode, mean of 100", "linear"),
    ("imitation/share_mean", "share of the checkpoints reached", "linear"),
    ("rollout/episode_length", "steps of an episode, mean of 100", "linear"),
    ("train/entropy", "entropy of the policy", "linear"),
    ("train/value_loss", "value loss", "log"),
    ("time/steps_per_second", "steps a second", "linear"),
)


def plot_history(rows: Sequence[Mapping[str, float]], path: Path, title: str = "") -> None:
    """Draw the history of a training run.

    Args:
        rows: Rows of `hxwrappers.sb3.histories.History` or of `hxwrappers.impala`'s log.
        path: The picture to write.
        title: Stands above it.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    panels = [panel for panel in PANELS if any(panel[0] in row for row in rows)]
    columns = 3
    figure, axes = plt.subplots(
        -(-len(panels) // columns),
        columns,
        figsize=(11, 3 * -(-len(panels) // columns)),
        squeeze=False,
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, label, scale) in zip(axes.flat, panels, strict=False):
        # On a log axis, the zeros of the warm-up have no place.
        shown = [row for row in rows if name in row and (scale == "linear" or row[name] > 0)]
        axis.plot([row["steps"] for row in shown], [row[name] for row in shown], linewidth=1.2)
        axis.set(title=label, xlabel="steps", yscale=scale)
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    save_figure(figure, path)


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
    try:
        from sklearn.manifold import TSNE  # noqa: PLC0415
    except ImportError as error:
        raise DependencyNotInstalled(
            't-SNE needs scikit-learn: pip install "hxwrappers[plots]"'
        ) from error
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    figure, axes = plt.subplots(1, len(features), figsize=(5 * len(features), 4.6), squeeze=False)
    points: Any = None
    for axis, (name, values) in zip(axes[0], features.items(), strict=True):
        perplexity = min(30.0, (len(values) - 1) / 3)
        flat = TSNE(random_state=0, perplexity=perplexity, init="pca").fit_transform(values)
        points = axis.scatter(flat[:, 0], flat[:, 1], c=codes, cmap="turbo", s=6, alpha=0.8)
        axis.set(title=name, xticks=[], yticks=[])
    handles, _ = points.legend_elements(num=None)
    figure.legend(
        handles, [str(value) for value in names], title=label, loc="center right", fontsize=8
    )
    save_figure(figure, path, rect=(0, 0, 0.92, 1))


def plot_reward_replay(replay: RewardReplay, path: Path, title: str = "") -> None:
    """Draw how like each checkpoint each frame of a run is, and which checkpoints it reached.

    Args:
        replay: What `hxwrappers.video.replay.replay_reward` found.
        path: The picture to write.
        title: Stands above it.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10, 7.5), height_ratios=(3, 1), sharex=True, layout="constrained"
    )
    seconds = np.arange(len(replay.similarities)) / replay.frames_per_second
    number = replay.similarities.shape[1]
    image = above.imshow(
        replay.similarities.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        extent=(0, len(seconds) / replay.frames_per_second, -0.5, number - 0.5),
    )
    figure.colorbar(image, ax=above, label="cosine")
    reached = np.flatnonzero(replay.reached >= 0)
    above.plot(seconds[replay.reached[reached]], reached, "k.", markersize=7, label="reached")
    missed = np.flatnonzero(replay.reached < 0)
    above.plot(np.zeros(len(missed)), missed, "y>", markersize=7, clip_on=False, label="never")
    above.set(title=title, ylabel="checkpoint of the demonstration")
    above.legend(loc="upper left", fontsize=8)
    below.plot(seconds, replay.course(), drawstyle="steps-post")
    below.axhline(number, color="grey", linewidth=0.8, linestyle="--")
    below.set(
        xlabel="seconds of the run", ylabel="reached", title=f"{len(reached)} of {number} reached"
    )
    below.grid(alpha=0.3)
    save_figure(figure, path, rect=None)
