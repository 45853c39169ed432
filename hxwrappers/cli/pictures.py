"""Draw training runs, demonstrations, and how well two clips are aligned."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

import hxwrappers.envs  # noqa: F401 - registers the environments that the library brings
from hxwrappers.bridge.model_holder import model_from_state
from hxwrappers.cli.terminal import demo_path, progress_bar
from hxwrappers.demos import Demo, follow, make_environment, shipped_names
from hxwrappers.envs import views_along
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files import load_checkpoint
from hxwrappers.novelty import NoveltyModel
from hxwrappers.runs import find_runs, plot_bonus, plot_runs, read_run

_CLIP, _CHECKPOINT = "clip.json", "checkpoint.safetensors"


def plot(
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    /,
    *,
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    bonus: Path | None = None,
    embedders: tuple[Path, ...] = (),
    title: str | None = None,
) -> None:
    """Draw what is given: runs, a demonstration, or two clips.

    Of folders with logs (TensorBoard's, or a progress.csv), the curves of all runs in and below
    them. Of a demonstration, its return and its route, on a map of the rooms for Montezuma's
    Revenge; with --bonus the bonus along it, with the frames at its peaks. Of two decoded clips,
    with --embedders, which frames are alike.

    Args:
        sources: Folders of runs, or one demonstration (a file, or the name of one that comes with
            the library), or the folders of two decoded clips.
        out: The picture to write, for example curves.png.
        bonus: A novelty model's file, or the folder of a run with a bonus, to score a
            demonstration with.
        embedders: What hxw video pretrain wrote, a panel for each.
        title: Stands above the picture.
    """
    if not sources:
        raise InvalidArgumentError("Give what to draw: a run's folder, a demonstration, two clips.")
    if any(source in shipped_names() or source.endswith(".npz") for source in sources):
        if len(sources) > 1:
            raise InvalidArgumentError(
                f"A demonstration is drawn by itself, here are {len(sources)} things to draw. Call "
                "hxw plot for one demonstration at a time."
            )
        said = _plot_demonstration(Demo.load(demo_path(sources[0])), out, bonus, title)
    elif all((Path(source) / _CLIP).is_file() for source in sources):
        said = _plot_clips([Path(source) for source in sources], embedders, out)
    else:
        said = _plot_runs([Path(source) for source in sources], out, title)
    print(f"{out}: {said}")


def _plot_runs(folders: list[Path], out: Path, title: str | None) -> str:
    found = list({run.resolve(): None for folder in folders for run in find_runs(folder)})
    empty = [str(folder) for folder in folders if not find_runs(folder)]
    if empty:
        raise CheckpointError(
            f"{', '.join(empty)} is neither a demonstration (*.npz) nor a decoded clip, and there "
            "is no log of a run in or below it."
        )
    above = Path(os.path.commonpath(found)) if len(found) > 1 else found[0].parent
    runs = {}
    with progress_bar("run", len(found)) as progress:
        for number, run in enumerate(found, start=1):
            runs[str(run.relative_to(above))] = read_run(run)
            progress(number)
    plot_runs(runs, out, title or (found[0].name if len(found) == 1 else ""))
    steps = max((row["steps"] for rows in runs.values() for row in rows), default=0)
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}, {steps:,.0f} steps"


def _plot_demonstration(demo: Demo, out: Path, bonus: Path | None, title: str | None) -> str:
    said = f"{demo.metadata.env['id']}: {len(demo):,} steps, score {demo.score:g}"
    env = make_environment(demo, render_mode="rgb_array")
    try:
        if bonus is not None:
            return _plot_bonus(demo, env, bonus, out, title or said)
        from hxwrappers.runs import plot_demo  # noqa: PLC0415 - needs matplotlib

        with progress_bar("step", len(demo)) as progress:
            route = follow(demo, env, progress=progress)
        plot_demo(demo, route, out, title or said)
    finally:
        env.close()
    return said


def _plot_bonus(demo: Demo, env: Any, bonus: Path, out: Path, title: str) -> str:
    state = _novelty_state(bonus)
    shape = _shape(state, bonus)
    with progress_bar("step", len(demo)) as progress:
        views = []
        for view in views_along(demo, env, shape):
            views.append(view)
            progress(view.step)
    observations = np.stack([view.observation for view in views])
    model: NoveltyModel = model_from_state(state, _space(observations, env))
    # What the scale and the clip of a bonus leave alike would not show where it peaks.
    values = model.score(observations)
    steps = [view.step for view in views]

    def frames(indices: Any) -> list[np.ndarray]:
        pictures = []
        for index in indices:
            demo.restore(env, steps[index])
            pictures.append(np.array(env.render()))
        return pictures

    label = "novelty score"
    plot_bonus(values, frames, out, steps=steps, title=title, label=label)
    return f"{label} {values.min():.3g} to {values.max():.3g}, along {len(demo):,} steps"


def _novelty_state(path: Path) -> dict[str, Any]:
    """The state of the novelty model in a file of its own, or in the checkpoint of a run."""
    if path.is_dir():
        run = load_checkpoint(path / _CHECKPOINT, "TrainingRun")
        wrappers = run.get("model", {}).get("wrappers", [])
        states = [one["state"]["model"] for one in wrappers if "model" in one["state"]]
        if not states:
            raise CheckpointError(f"The run in {path} has no novelty bonus.")
        return dict(states[-1])
    return load_checkpoint(path, ("RNDModel", "CNDModel"))


def _shape(state: dict[str, Any], path: Path) -> tuple[int, ...]:
    try:
        return tuple(state["signature"]["observation_shape"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} holds no novelty model ({error}).") from error


def _space(observations: np.ndarray, env: Any) -> Any:
    from gymnasium.spaces import Box  # noqa: PLC0415

    shape = observations.shape[1:]
    if env.observation_space.shape == shape:
        return env.observation_space
    return Box(0, 255, shape, np.uint8)


def _plot_clips(folders: list[Path], embedders: tuple[Path, ...], out: Path) -> str:
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
    draw_alignment(pairs, seconds, out)
    return f"{clips[0].name} and {clips[1].name}, {', '.join(named)}"
