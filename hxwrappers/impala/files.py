"""The checkpoints of one run: numbered by steps, the last two kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hxwrappers._files import writing
from hxwrappers._locks import file_lock
from hxwrappers.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.checkpoints import load_newest as newest_of
from hxwrappers.errors import CheckpointError

__all__ = ["KIND", "alone", "checkpoints", "load_newest", "save_numbered"]

KIND = "Impala"
KEPT = 2
LOCK = ".training.lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder, until the end of this one at the latest.

    Raises:
        CheckpointError: Another one trains there.
        FileWriteError: The folder cannot be written to.
    """
    with ExitStack() as stack:
        with writing(folder / LOCK):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(file_lock(folder / LOCK))
            except TimeoutError as error:
                raise CheckpointError(
                    f"Another process is training in {folder}. Wait for its end, or choose another "
                    "folder."
                ) from error
        yield


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest last."""
    return sorted(folder.glob("checkpoint-*.safetensors"))


def save_numbered(folder: Path, steps: int, state: Mapping[str, Any]) -> Path:
    """Write a checkpoint and then remove all but the last two."""
    path = folder / f"checkpoint-{steps:012d}.safetensors"
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
