"""Checkpoint files: written atomically, read without executing code.

A checkpoint is a `torch.save` archive of `{"format": ..., "kind": ..., "state": ...}` where the
state holds only tensors, numbers, strings, None, and lists and dicts of these. It is read with
`weights_only=True`, so that a pickle that poses as a checkpoint is refused before it is built.
Tensors that are equal bit by bit, such as a table that many wrappers share, are stored once.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from hxwrappers._shared_tensors import apart, stored_once
from hxwrappers.errors import CheckpointError

__all__ = ["atomic_write", "checkpoint_kind", "is_plain", "load_checkpoint", "save_checkpoint"]

FORMAT = "hxwrappers-checkpoint-1"


def atomic_write(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Write a file so that a crash leaves either the old file or the new one, never half of one.

    Args:
        path: Where the file shall be; missing folders are made.
        write: Called with the path of a temporary file in the same folder, which it fills.

    Raises:
        OSError: The folder cannot be written to or the disk is full; an old file stays as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
    )
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def save_checkpoint(path: str | os.PathLike[str], kind: str, state: Mapping[str, Any]) -> None:
    """Save a state atomically.

    Args:
        path: The file to write; an existing one is replaced only once the new one is complete.
        kind: What the state belongs to, checked on loading, for example `"RNDModel"`.
        state: Tensors, numbers, strings, None, and lists and dicts of these.

    Raises:
        CheckpointError: The state holds something that could not be loaded again safely.

    Example:
        >>> import tempfile, torch
        >>> path = tempfile.mkdtemp() + "/model.pt"
        >>> save_checkpoint(path, "Example", {"weight": torch.ones(2), "steps": 3})
        >>> load_checkpoint(path, "Example")["steps"]
        3
    """
    _check_plain(state, "state")
    document = {"format": FORMAT, "kind": kind, "state": stored_once(dict(state))}
    atomic_write(path, lambda temporary: torch.save(document, temporary))


def load_checkpoint(path: str | os.PathLike[str], kind: str | tuple[str, ...]) -> dict[str, Any]:
    """Load the state that `save_checkpoint` saved, on the CPU, without executing code from it.

    Args:
        path: The file to read.
        kind: What the state must belong to; one of several.

    Raises:
        CheckpointError: The file is missing, truncated, not a checkpoint of this library, holds
            objects other than tensors and plain values, or belongs to something of another kind.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"There is no checkpoint file at {path}.")
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a malformed file
        raise CheckpointError(
            f"{path} could not be read as a checkpoint: it is truncated, damaged or holds objects "
            f"that are not tensors and plain values ({type(error).__name__}). Nothing from it was "
            "executed. Use a file written by hxwrappers."
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not an hxwrappers checkpoint (expected {FORMAT!r}).")
    kinds = (kind,) if isinstance(kind, str) else kind
    if document.get("kind") not in kinds:
        raise CheckpointError(
            f"{path} is a checkpoint of {document.get('kind')!r}, but "
            f"{' or '.join(map(repr, kinds))} was expected."
        )
    state = document.get("state")
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no state.")
    return cast(dict[str, Any], apart(state))


def checkpoint_kind(path: str | os.PathLike[str]) -> str | None:
    """What a checkpoint belongs to; None if the file is none, or cannot be read.

    Args:
        path: The file to read.
    """
    try:
        document = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # torch raises many kinds for a file that is something else
        return None
    kind = document.get("kind") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else None


def is_plain(value: object) -> bool:
    """Whether a value may stand in a checkpoint.

    Example:
        >>> is_plain({"sizes": [1, 2]}), is_plain(print)
        (True, False)
    """
    try:
        _check_plain(value, "value")
    except CheckpointError:
        return False
    return True


def _check_plain(value: object, where: str) -> None:
    if isinstance(value, torch.Tensor | int | float | str | type(None)):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_plain(key, f"a key of {where}")
            _check_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
    else:
        raise CheckpointError(
            f"{where} is a {type(value).__name__}; a checkpoint holds tensors, numbers, strings, "
            "None, lists and dicts only."
        )
