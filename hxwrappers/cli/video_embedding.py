"""Learn an embedding of videos, and see how well it aligns them."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import tyro

from hxwrappers._utils.checks import brief, require_count
from hxwrappers._utils.processes import stop_on_signals
from hxwrappers._utils.progress import ProgressBar
from hxwrappers.cli.terminal import Json, Output, prepare_output, progress_bar
from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.files.atomic import try_to_save

if TYPE_CHECKING:
    from hxwrappers.video import DecodedClip, Embedder

_TITLES = {"tdc": "TDC", "cmc": "CMC", "both": "TDC + CMC"}
_PICTURES = ("alignment.png", "neighbours.png", "saliency.png", "tsne.png")
_Files = Annotated[tuple[Path, ...], tyro.conf.Positional]


def pretrain(
    clips: _Files,
    /,
    *,
    output: Output,
    preset: str = "paper",
    objective: str = "both",
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    cmc_weight: float = 1.0,
    intervals: tuple[tuple[int, int], ...] | None = None,
    negative_seconds: float = 2.0,
    sounds: str = "sounding",
    negatives: str = "any",
    sound_threshold: float = 0.1,
    hop_seconds: float = 0.006,
    window_seconds: float | None = None,
    position: str = "centre",
    scale: str = "log",
    head: str | None = None,
    product_scale: float | None = None,
    augment_zoom: float | None = None,
    augment_colour: float | None = None,
    precision: str = "float32",
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_every: int = 1000,
    log_dir: Path | None = None,
    report_every: int = 50,
) -> None:
    """Learn an embedding of frames from clips, by temporal distance and sound (TDC and CMC).

    Ctrl-C ends it early; the embedding as learned so far is written.

    Args:
        clips: Folders of decoded clips, at one frame rate and one sample rate.
        output: The embedder to write.
        preset: paper, as published, or small, which a CPU can train.
        objective: tdc learns from frames alone, cmc from frames and their sound, both from both.
        steps: Optimiser steps; the preset's where not given.
        batch_size: Pairs in a step; the preset's where not given.
        learning_rate: Adam's learning rate; the preset's where not given.
        cmc_weight: Factor of the cross-modal loss.
        intervals: Shortest and longest gap in frames of each class; the published ones, 0 0 1 1 2 2
            3 4 5 20 21 200, where not given.
        negative_seconds: Only frames further than this from a sound are counterexamples to it.
        sounds: Draw sounds where there is one (sounding) or everywhere (any).
        negatives: Draw counterexamples everywhere (any) or where there is a sound (sounding).
        sound_threshold: There is a sound from this share of the clip's loudest on.
        hop_seconds: Time between two columns of a spectrogram.
        window_seconds: Length of the window; that of the Fourier transform where not given.
        position: Where a snippet of sound lies about its frame's time: centre or end.
        scale: Scale of the spectrograms: log or magnitude.
        head: What ends phi and psi: linear, batch_norm or relu; the preset's where not given.
        product_scale: Factor on the product of two embeddings; the preset's where not given.
        augment_zoom: How far a crop's height and width vary; the preset's where not given.
        augment_colour: Strength of random changes of colour; the preset's where not given.
        precision: float32, or bfloat16 for the products inside the networks.
        seed: Seed of weights and sampling.
        device: auto, cpu, cuda, ...
        checkpoint: A file to keep the training in, and to go on from if it exists.
        checkpoint_every: Steps between two checkpoints.
        log_dir: A folder for TensorBoard.
        report_every: Steps between two reports.
    """
    # Not for --help: PyTorch takes a second or two.
    from hxwrappers.runs import keep_freed_memory  # noqa: PLC0415
    from hxwrappers.video import Pretraining, load_clips  # noqa: PLC0415
    from hxwrappers.video import preset as settings_of  # noqa: PLC0415

    require_count("checkpoint_every", checkpoint_every, 1)
    require_count("report_every", report_every, 1)
    prepare_output(output)
    keep_freed_memory()
    optional = {
        "steps": steps,
        "batch_size": batch_size,
        "head": head,
        "learning_rate": learning_rate,
        "product_scale": product_scale,
        "augment_zoom": augment_zoom,
        "augment_colour": augment_colour,
        "intervals": intervals,
    }
    settings = settings_of(
        preset,
        objective=objective,
        cmc_weight=cmc_weight,
        negative_seconds=negative_seconds,
        sounds=sounds,
        negatives=negatives,
        sound_threshold=sound_threshold,
        hop_seconds=hop_seconds,
        window_seconds=window_seconds,
        position=position,
        scale=scale,
        precision=precision,
        seed=seed,
        **{name: value for name, value in optional.items() if value is not None},
    )
    size = settings.architecture.frame_size
    training = Pretraining(load_clips(clips, (size, size)), settings, device=device)
    if checkpoint is not None and checkpoint.exists():
        training.load(checkpoint)
        print(
            f"hxw: goes on with the training in {checkpoint}: {training.step:,} steps so far",
            file=sys.stderr,
        )
    last: dict[str, float] = {}
    bar = ProgressBar("step", settings.steps, initial=training.step)
    with _tensorboard(log_dir, training.step) as log, bar:

        def show(step: int, means: Mapping[str, float]) -> None:
            last.update(means)
            bar.show(step, note=_describe(means))
            if log is not None:
                for name, value in means.items():
                    log.add_scalar(f"pretraining/{name}", value, step)

        stopping = threading.Event()

        def stop() -> None:
            stopping.set()
            training.stop()

        with stop_on_signals(stop):
            while training.step < settings.steps and not stopping.is_set():
                due = checkpoint_every - training.step % checkpoint_every
                count = min(due, settings.steps - training.step)
                training.run(count, progress=show, report_every=report_every)
                if checkpoint is not None:
                    try_to_save(partial(training.save, checkpoint))
    training.embedder(command=shlex.join(["hxw", *sys.argv[1:]])).save(output)
    print(f"{output}: {training.step} steps; {_describe(last)}")


def align(
    first: Annotated[Path, tyro.conf.Positional],
    second: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    embedders: tuple[Path, ...],
    third: Path | None = None,
    truth: Path | None = None,
    tolerance: int = 1,
    every: int = 1,
    pictures: Path | None = None,
    as_json: Json = False,
) -> None:
    """Measure how well embedders align two clips, beside raw pixels and a random network.

    Args:
        first: The folder of a decoded clip.
        second: The folder of another one.
        embedders: Embedders that hxw video pretrain wrote.
        third: The folder of a third clip, for cycles through three.
        truth: A .npy file with, for each frame of the first clip, the frame of the second that
            shows the same, or -1.
        tolerance: Frames by which a cycle or a retrieved frame may miss.
        every: Measure one frame in so many: two players are never in step to a fifteenth
            of a second, and frames in which nobody moves cannot be told apart.
        pictures: A folder for pictures: the alignment, nearest frames, t-SNE and saliency.
        as_json: Print one JSON document instead.
    """
    from hxwrappers.video import embed_clips, load_clips, measure_alignment  # noqa: PLC0415

    if not embedders:
        raise VideoError("There is no embedder to measure; give one with --embedders.")
    require_count("every", every, 1)
    if every > 1 and truth is not None:
        raise InvalidArgumentError("A truth is one for every frame; measure it without --every.")
    prepare_output(*() if pictures is None else [pictures / name for name in _PICTURES])
    loaded = named_embedders(embedders)
    largest = max(embedder.frame_size for embedder in loaded.values())
    clips = load_clips([path for path in (first, second, third) if path is not None], largest)
    with progress_bar("network", len(loaded) + 2) as progress:
        embeddings = embed_clips(clips, loaded, progress=progress)
    known = None if truth is None else _truth(truth)
    rows = {
        name: measure_alignment([part[::every] for part in parts], truth=known, tolerance=tolerance)
        for name, parts in embeddings.items()
    }
    if as_json:
        print(json.dumps(rows))
    else:
        _print_table(rows)
    if pictures is not None:
        _draw(clips, embeddings, loaded, pictures)


def _draw(
    clips: list[DecodedClip],
    embeddings: Mapping[str, list[npt.NDArray[np.float32]]],
    embedders: Mapping[str, Embedder],
    folder: Path,
) -> None:
    from hxwrappers.runs import (  # noqa: PLC0415 - needs matplotlib
        draw_alignment,
        draw_neighbours,
        draw_saliency,
        plot_features,
    )

    pairs = {name: (parts[0], parts[1]) for name, parts in embeddings.items()}
    lengths = [len(clip) / clip.frames_per_second for clip in clips]
    draw_alignment(pairs, (lengths[0], lengths[1]), folder / "alignment.png")
    draw_neighbours(clips[0], clips[1], pairs, folder / "neighbours.png")
    draw_saliency(clips[0], embedders, folder / "saliency.png")
    plot_features(
        {name: np.concatenate(parts) for name, parts in embeddings.items()},
        [clip.name for clip in clips for _ in range(len(clip))],
        folder / "tsne.png",
        label="video",
    )


def named_embedders(paths: Sequence[Path]) -> dict[str, Embedder]:
    """Load embedders by names that say what they learned from, and the file where that is the same.

    Args:
        paths: What `hxw video pretrain` wrote.
    """
    from hxwrappers.video import Embedder  # noqa: PLC0415 - as above

    embedders = [Embedder.load(path) for path in paths]
    titles = [_TITLES.get(str(one.made_by.get("objective")), "unknown") for one in embedders]
    stems = [(title, path.stem) for title, path in zip(titles, paths, strict=True)]
    names = [
        title
        if titles.count(title) == 1
        else f"{title}, {stem if stems.count((title, stem)) == 1 else path}"
        for (title, stem), path in zip(stems, paths, strict=True)
    ]
    return dict(zip(names, embedders, strict=True))


def _truth(path: Path) -> npt.NDArray[np.integer]:
    try:
        truth = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VideoError(
            f"{path} could not be read as a true alignment ({brief(error)}); it must be a .npy "
            "file of whole numbers."
        ) from error
    return np.asarray(truth)


def _print_table(rows: Mapping[str, Mapping[str, float]]) -> None:
    measures = list(next(iter(rows.values())))
    width = max(map(len, rows))
    print(" " * width, *(f"{measure:>12}" for measure in measures))
    for name, row in rows.items():
        print(f"{name:{width}}", *(f"{row[measure]:12.3f}" for measure in measures))


def _describe(means: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in means.items())


def _tensorboard(folder: Path | None, steps: int) -> AbstractContextManager[Any]:
    if folder is None:
        return nullcontext()
    from hxwrappers.runs.event_log import EventLog  # noqa: PLC0415 - an optional extra

    return EventLog(folder, steps)
