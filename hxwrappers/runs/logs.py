"""Logs of training runs: TensorBoard files or `progress.csv`."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hxwrappers._utils.modules import import_optional
from hxwrappers.errors import CheckpointError

_EVENTS, _CSV, _STEPS = "events.out.tfevents.*", "progress.csv", "time/total_timesteps"
_NAMES = {
    "rollout/ep_rew_mean": "return_mean",
    "rollout/episode_return": "return_mean",
    "rollout/success_rate": "success_rate",
    "curriculum/success_rate": "success_rate",
    "exploration/reward_bonus_mean": "bonus_mean",
    "rollout/reward_sum": "reward_sum",
    "train/entropy": "entropy",
}
_GROUPS = ("exploration/", "curriculum/", "imitation/", "search/")


def find_runs(folder: str | os.PathLike[str]) -> list[Path]:
    """The folders at or below a folder that hold the log of a run.

    Args:
        folder: For example what `tensorboard --logdir` is given.

    Returns:
        Them, sorted; none where there is no log.
    """
    root = Path(folder)
    logs = [*root.rglob(_EVENTS), *root.rglob(_CSV)]
    return sorted({log.parent for log in logs})


def read_run(folder: str | os.PathLike[str]) -> list[dict[str, float]]:
    r"""Read the log that Stable-Baselines3, `TrainingRun`, `hxw train` or `hxw demo search` wrote.

    Args:
        folder: The folder with TensorBoard's files or a `progress.csv`.

    Returns:
        A row for each step at which something was logged, with `steps` and the figures by the
        names of `hxwrappers.runs.plots.PANELS`; others by the last part of their key.

    Raises:
        CheckpointError: There is no log, or it is unreadable.
        DependencyNotInstalled: TensorBoard, which reads its files, is missing.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> text = "time/total_timesteps,rollout/ep_rew_mean,exploration/rooms\n128,2.5,1\n"
        >>> _ = (folder / "progress.csv").write_text(text)
        >>> read_run(folder)
        [{'steps': 128.0, 'return_mean': 2.5, 'rooms': 1.0}]
    """
    root = Path(folder)
    if any(root.glob(_EVENTS)):
        points = _from_tensorboard(root)
    elif (root / _CSV).is_file():
        points = _from_csv(root / _CSV)
    else:
        raise CheckpointError(
            f"{root} holds no log of a run: neither TensorBoard's files nor a {_CSV}. Give the "
            "folder that was handed to the trainer."
        )
    rows: dict[float, dict[str, float]] = {}
    for step, key, value in points:
        name = _NAMES.get(key) or (key.rpartition("/")[2] if key.startswith(_GROUPS) else None)
        if name is not None:
            row = rows.setdefault(step, {"steps": step})
            # What this library logs goes before what a trainer logs under a like name.
            if name not in row or key.startswith(_GROUPS):
                row[name] = value
    return [rows[step] for step in sorted(rows)]


def _from_tensorboard(folder: Path) -> Iterator[tuple[float, str, float]]:
    event_accumulator = import_optional(
        "tensorboard.backend.event_processing.event_accumulator",
        "The logs are read by TensorBoard",
        "sb3",
    )
    log = event_accumulator.EventAccumulator(
        str(folder), size_guidance={event_accumulator.SCALARS: 0}
    )
    try:
        with _quiet(logging.getLogger("tensorboard")):  # it tells what a resumed run took back
            log.Reload()
    except Exception as error:  # damaged files fail in TensorBoard's own ways
        raise CheckpointError(f"The log in {folder} is unreadable: {error}.") from error
    for key in log.Tags()["scalars"]:
        for event in log.Scalars(key):
            yield float(event.step), key, float(event.value)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _from_csv(path: Path) -> Iterator[tuple[float, str, float]]:
    with path.open(newline="", encoding="utf-8") as file:
        try:
            for row in csv.DictReader(file):
                step = float(row[_STEPS])
                for key, text in row.items():
                    if key != _STEPS and text:
                        yield step, key, float(text)
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise CheckpointError(
                f"{path} is no log of Stable-Baselines3 ({error}); it needs a column {_STEPS} and "
                "numbers."
            ) from error
