"""Plots of embeddings and imitation rewards: alignment, saliency, replay; extra `plots`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hxwrappers.runs.plots import pyplot, save_figure
from hxwrappers.video import DecodedClip, Embedder, RewardReplay
from hxwrappers.video.alignment import distances, nearest
from hxwrappers.video.frames import centre_crop

Pair = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Embeddings of the frames of two clips."""


def draw_alignment(pairs: Mapping[str, Pair], seconds: tuple[float, float], path: Path) -> None:
    """Draw the distances of all frames of two clips, and which are nearest, a panel for each.

    Args:
        pairs: Embeddings of the two clips, by the name of what embeds them.
        seconds: Lengths of the clips.
        path: The picture to write.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    figure, axes = plt.subplots(1, len(pairs), figsize=(4.2 * len(pairs), 4.2), squeeze=False)
    for axis, (name, (first, second)) in zip(axes[0], pairs.items(), strict=True):
        extent = (0, seconds[1], seconds[0], 0)
        axis.imshow(distances(first, second), cmap="gray", aspect="auto", extent=extent)
        rows, columns = (
            (np.arange(len(clip)) + 0.5) * length / len(clip)
            for clip, length in zip((first, second), seconds, strict=True)
        )
        axis.scatter(columns[nearest(first, second)], rows, s=2, color="tab:orange")
        axis.set(title=name, xlabel="second clip, s", ylabel="first clip, s")
    save_figure(figure, path)


def draw_neighbours(
    first: DecodedClip,
    second: DecodedClip,
    pairs: Mapping[str, Pair],
    path: Path,
    *,
    shown: int = 8,
) -> None:
    """Draw frames of a clip and under each the nearest of another clip, a row for each embedding.

    Args:
        first: The clip whose frames are looked up.
        second: The clip in which they are.
        pairs: Their embeddings, by the name of what embeds them.
        path: The picture to write.
        shown: How many frames, evenly spread over the clip.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    chosen = _spread(len(first), shown)
    size = (1.5 * shown, 1.6 * (len(pairs) + 1))
    figure, axes = plt.subplots(len(pairs) + 1, shown, figsize=size, squeeze=False)
    rows = {first.name: (first, chosen)}
    for name, (one, other) in pairs.items():
        rows[name] = (second, nearest(one[chosen], other))
    for row, (name, (clip, frames)) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, fontsize=8)
        for axis, frame in zip(row, frames.tolist(), strict=True):
            axis.imshow(clip.frames[frame])
            axis.set_title(f"{frame / clip.frames_per_second:.1f} s", fontsize=7)
            axis.set(xticks=[], yticks=[])
    save_figure(figure, path)


def draw_saliency(
    clip: DecodedClip, embedders: Mapping[str, Embedder], path: Path, *, shown: int = 6
) -> None:
    """Draw where the last convolution of embedders answers, over frames of a clip.

    Args:
        clip: The clip.
        embedders: By name, a row for each.
        path: The picture to write.
        shown: How many frames, evenly spread over the clip.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    plt = pyplot()
    chosen = _spread(len(clip), shown)
    size = (1.8 * shown, 1.9 * len(embedders))
    figure, axes = plt.subplots(len(embedders), shown, figsize=size, squeeze=False)
    for row, (name, embedder) in zip(axes, embedders.items(), strict=True):
        row[0].set_ylabel(name, fontsize=8)
        stacks = embedder.stacks_of(clip, chosen)
        pictures = centre_crop(stacks, embedder.architecture.crop_size)[:, -1].numpy()
        heat = saliency(embedder, clip, chosen)
        for axis, picture, map_, frame in zip(row, pictures, heat, chosen.tolist(), strict=True):
            extent = (0, picture.shape[1], picture.shape[0], 0)
            axis.imshow(picture, extent=extent)
            axis.imshow(map_, extent=extent, cmap="inferno", alpha=0.55, interpolation="bilinear")
            axis.set_title(f"{frame / clip.frames_per_second:.1f} s", fontsize=7)
            axis.set(xticks=[], yticks=[])
    save_figure(figure, path)


def plot_reward_replay(replay: RewardReplay, path: Path, title: str = "") -> None:
    """Draw how like each checkpoint each frame of a run is, and which checkpoints it reached.

    Args:
        replay: What `hxwrappers.video.reward.replay_reward` found.
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


def saliency(
    embedder: Embedder, clip: DecodedClip, frames: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """How strongly the last convolution answers at each place, against its mean over the frames.

    What is the same in all frames, such as the border, is taken out, so that what remains is where
    a frame differs for the network.

    Args:
        embedder: The embedder.
        clip: The clip.
        frames: Indices of frames, `(number,)`.

    Returns:
        Root of the sum over channels of squared differences, `(number, rows, columns)`.
    """
    maps = embedder.maps(embedder.stacks_of(clip, frames))
    differences: npt.NDArray[np.float32] = (
        (maps - maps.mean(0)).square().sum(1).sqrt().cpu().numpy()
    )
    return differences


def _spread(length: int, shown: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, length - 1, shown).round().astype(np.int64)
