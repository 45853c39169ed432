"""The checkpoints of one run: numbered by steps, the last two kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hxwrappers.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.checkpoints import load_newest as newest_of
from hxwrappers.errors import CheckpointError

__all__ = ["KIND", "checkpoints", "load_newest", "save_numbered"]

KIND = "Impala"
KEPT = 2


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest last."""
    return sorted(folder.glob("checkpoint-*.pt"))


def save_numbered(folder: Path, steps: int, state: Mapping[str, Any]) -> Path:
    """Write a checkpoint and then remove all but the last two."""
    path = folder / f"checkpoint-{steps:012d}.pt"
    save_checkpoint(path, KIND, state)
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_newest(path: Path) -> dict[str, Any]:
    """Load a checkpoint, or the newest in a folder that can be read.

    Raises:
        CheckpointError: There is none, or none can be read.
    """
    if path.is_file():
        return load_checkpoint(path, KIND)
    found = checkpoints(path)
    if not found:
        raise CheckpointError(f"There is no checkpoint of IMPALA at {path}.")
    return newest_of(found[::-1], KIND)
