"""Pictures of demonstrations and searches for `hxw plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hxwrappers.bridge.model_holder import model_from_state
from hxwrappers.cli.terminal import demo_environment, progress_bar
from hxwrappers.demos import Demo, follow
from hxwrappers.envs import views_along
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files import load_checkpoint
from hxwrappers.files.checkpoints import checkpoint_kind
from hxwrappers.novelty import NoveltyModel
from hxwrappers.runs import plot_bonus, plot_demo, plot_search_tree
from hxwrappers.search.tree import KINDS, read_search_tree

_CHECKPOINT = "checkpoint.safetensors"


def plot_demonstration(demo: Demo, out: Path, bonus: Path | None, title: str | None) -> str:
    """Draw a demonstration, and get what is said of it.

    Args:
        demo: The demonstration.
        out: The picture to write.
        bonus: A novelty model, or a run that has one, to score it with.
        title: Stands above the picture.
    """
    said = f"{demo.metadata.env['id']}: {len(demo):,} steps, score {demo.score:g}"
    env = demo_environment(demo, render_mode="rgb_array")
    try:
        if bonus is not None:
            return _plot_bonus(demo, env, bonus, out, title or said)
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
