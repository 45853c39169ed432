"""Draw training runs, demonstrations, and how well two clips are aligned."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro

from hxwrappers._utils.checks import brief
from hxwrappers.cli.terminal import Output, demo_path, prepare_output, progress_bar
from hxwrappers.demos import Demo, shipped_names
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.runs.logs import find_runs, read_run
from hxwrappers.runs.plots import plot_road, plot_runs

_CLIP = "clip.json"


def plot(
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    /,
    *,
    output: Output,
    bonus: Path | None = None,
    embedders: tuple[Path, ...] = (),
    only: tuple[str, ...] = (),
    title: str | None = None,
) -> None:
    """Draw what is given: runs, a search, the road to an agent, a demonstration, or two clips.

    Of folders with logs (TensorBoard's, or a progress.csv), the curves of all runs in and below
    them. Of the file that hxw demo search keeps with --checkpoint, its tree on the map of rooms
    (Montezuma's Revenge). Of logs of a search and of runs with a curriculum together with what hxw
    evaluate --json printed (.json), the road from one to the other. Of a demonstration, its return
    and its route, on a map of the rooms for Montezuma's Revenge; with --bonus the bonus along it,
    with the frames at its peaks. Of two decoded clips, with --embedders, which frames are alike.

    Args:
        sources: Folders of runs, with evaluations (.json) for the road, or the checkpoint of a
            search, or one demonstration (a file, or the name of one that comes with
            the library), or the folders of two decoded clips.
        output: The picture to write, for example curves.png.
        bonus: A novelty model's file, or the folder of a run with a bonus, to score a
            demonstration with.
        embedders: What hxw video pretrain wrote, a panel for each.
        only: Of runs, the panels to draw, for example frontier success_rate; all unless given.
        title: Stands above the picture.
    """
    if not sources:
        raise InvalidArgumentError("Give what to draw: a run's folder, a demonstration, two clips.")
    prepare_output(output)
    if any(source in shipped_names() or source.endswith(".npz") for source in sources):
        if len(sources) > 1:
            raise InvalidArgumentError(
                f"A demonstration is drawn by itself, here are {len(sources)} things to draw. Call "
                "hxw plot for one demonstration at a time."
            )
        # What it needs takes its time, which --help and the others spare.
        from hxwrappers.cli.demo_pictures import plot_demonstration  # noqa: PLC0415

        said = plot_demonstration(Demo.load(demo_path(sources[0])), output, bonus, title)
    elif len(sources) == 1 and Path(sources[0]).is_file() and not sources[0].endswith(".json"):
        from hxwrappers.cli.demo_pictures import plot_search  # noqa: PLC0415 - PyTorch

        said = plot_search(Path(sources[0]), output, title)
    elif any(source.endswith(".json") for source in sources):
        said = _plot_road([Path(source) for source in sources], output, title)
    elif all((Path(source) / _CLIP).is_file() for source in sources):
        said = _plot_clips([Path(source) for source in sources], embedders, output)
    else:
        said = _plot_runs([Path(source) for source in sources], output, title, only)
    print(f"{output}: {said}")


def _plot_runs(folders: list[Path], output: Path, title: str | None, only: tuple[str, ...]) -> str:
    runs = _read_runs(folders)
    names = list(runs)
    plot_runs(runs, output, title or (names[0] if len(names) == 1 else ""), only)
    return _say_runs(runs)


def _plot_road(sources: list[Path], output: Path, title: str | None) -> str:
    files = [source for source in sources if source.suffix == ".json"]
    evaluations = {file.stem: _evaluation(file) for file in files}
    runs = _read_runs([source for source in sources if source.suffix != ".json"])
    searches = {name: rows for name, rows in runs.items() if any("score" in row for row in rows)}
    curricula = {
        name: rows for name, rows in runs.items() if any("frontier" in row for row in rows)
    }
    plot_road(searches, curricula, evaluations, output, title or "")
    return f"{len(searches)} searches, {len(curricula)} curricula, {len(evaluations)} evaluations"


def _evaluation(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        for start in document["starts"].values():
            _ = [float(start["mean"][name]) for name in ("value", "low", "high")]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidArgumentError(
            f"{file} is no evaluation ({brief(repr(error))}); give what hxw evaluate "
            "--json printed."
        ) from error
    return dict(document)


def _read_runs(folders: list[Path]) -> dict[str, list[dict[str, float]]]:
    found = list({run.resolve(): None for folder in folders for run in find_runs(folder)})
    empty = [str(folder) for folder in folders if not find_runs(folder)]
    if empty:
        raise CheckpointError(
            f"{', '.join(empty)} is neither a demonstration (*.npz) nor a decoded clip, and there "
            "is no log of a run in or below it."
        )
    if not found:
        return {}
    above = Path(os.path.commonpath(found)) if len(found) > 1 else found[0].parent
    runs = {}
    with progress_bar("run", len(found)) as progress:
        for number, run in enumerate(found, start=1):
            runs[str(run.relative_to(above))] = read_run(run)
            progress(number)
    return runs


def _say_runs(runs: Mapping[str, list[dict[str, float]]]) -> str:
    steps = max((row["steps"] for rows in runs.values() for row in rows), default=0)
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}, {steps:,.0f} steps"


def _plot_clips(folders: list[Path], embedders: tuple[Path, ...], output: Path) -> str:
    from hxwrappers.cli.video_embedding import named_embedders  # noqa: PLC0415
    from hxwrappers.runs import draw_alignment  # noqa: PLC0415
    from hxwrappers.video import load_clips  # noqa: PLC0415

    if len(folders) != 2 or not embedders:
        raise InvalidArgumentError(
            f"There are {len(folders)} clips and {len(embedders)} embedders; give two clips, and "
            "--embedders with what hxw video pretrain wrote."
        )
    named = named_embedders(embedders)
    clips = load_clips(folders, max(embedder.frame_size for embedder in named.values()))
    pairs = {}
    with progress_bar("embedder", len(named)) as progress:
        for number, (name, embedder) in enumerate(named.items(), start=1):
            pairs[name] = (embedder.embed_clip(clips[0]), embedder.embed_clip(clips[1]))
            progress(number)
    seconds = (clips[0].seconds, clips[1].seconds)
    draw_alignment(pairs, seconds, output)
    return f"{clips[0].name} and {clips[1].name}, {', '.join(named)}"
