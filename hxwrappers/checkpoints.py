"""Checkpoint files: written atomically, read without executing code.

A checkpoint is a `torch.save` archive of `{"format": ..., "kind": ..., "state": ...}` where the
state holds only tensors, numbers, strings, None, and lists and dicts of these. It is not unpickled:
what poses as a checkpoint is refused before anything is built, and tensors are no larger than what
the file holds for them. Tensors that are equal bit by bit, such as a table that many wrappers
share, are stored once.
"""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeGuard, cast

import torch

from hxwrappers._files import atomic_write
from hxwrappers._shared_tensors import apart, stored_once
from hxwrappers._text import brief
from hxwrappers._torch_files import LONGEST_INTEGER, MAX_DEPTH, read_torch_file
from hxwrappers.errors import MALFORMED, CheckpointError, HxWrappersError

__all__ = [
    "MALFORMED",
    "atomic_write",
    "checkpoint_kind",
    "is_plain",
    "load_checkpoint",
    "load_newest",
    "refusing_malformed",
    "require_plain",
    "save_checkpoint",
    "says_the_same",
]

FORMAT = "hxwrappers-checkpoint-1"


@contextmanager
def refusing_malformed(what: str, advice: str = "") -> Iterator[None]:
    """Say so, by an error of this library, if a state has something else in it than should be.

    Errors of this library pass as they are.

    Args:
        what: What is wrong then, such as "The checkpoint is incomplete".
        advice: What to do about it.

    Raises:
        CheckpointError: There was one of the errors in `MALFORMED`.

    Example:
        >>> with refusing_malformed("It is incomplete", "Use another."):
        ...     {"steps": 3}["updates"]
        Traceback (most recent call last):
        ...
        hxwrappers.errors.CheckpointError: It is incomplete (KeyError('updates')). Use another.
    """
    try:
        yield
    except HxWrappersError:
        raise
    except MALFORMED as error:
        raise CheckpointError(f"{what} ({brief(repr(error))}). {advice}".rstrip()) from error


def save_checkpoint(
    path: str | os.PathLike[str] | IO[bytes],
    kind: str,
    state: Mapping[str, Any],
    *,
    previous: str | os.PathLike[str] | None = None,
) -> None:
    """Save a state atomically.

    Args:
        path: The file to write; an existing one is replaced only once the new one is complete. Or
            an open binary file, which is written to where it stands.
        kind: What the state belongs to, checked on loading, for example `"RNDModel"`.
        state: Tensors, numbers, strings, None, and lists and dicts of these.
        previous: The name in the same folder under which the replaced file is kept; it is not kept
            where None.

    Raises:
        CheckpointError: The state holds something that could not be loaded again safely.
        FileWriteError: The file cannot be written; an existing one stays as it was.

    Example:
        >>> import tempfile, torch
        >>> path = tempfile.mkdtemp() + "/model.pt"
        >>> save_checkpoint(path, "Example", {"weight": torch.ones(2), "steps": 3})
        >>> load_checkpoint(path, "Example")["steps"]
        3
    """
    require_plain(state, "state")
    document = {"format": FORMAT, "kind": kind, "state": stored_once(dict(state))}

    if not isinstance(path, str | os.PathLike):
        torch.save(document, path)
        return

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # an error of this file says what is wrong, torch's not
            torch.save(document, file)

    atomic_write(path, write, previous=previous)


def load_checkpoint(
    path: str | os.PathLike[str] | IO[bytes], kind: str | tuple[str, ...]
) -> dict[str, Any]:
    """Load the state that `save_checkpoint` saved, on the CPU, without executing code from it.

    Args:
        path: The file to read, or an open binary file.
        kind: What the state must belong to; one of several.

    Raises:
        CheckpointError: The file is missing, truncated, not a checkpoint of this library, holds
            objects other than tensors and plain values, or belongs to something of another kind.
    """
    file = Path(path) if isinstance(path, str | os.PathLike) else path
    if isinstance(file, Path) and not file.is_file():
        raise CheckpointError(f"There is no checkpoint file at {path}.")
    try:
        document = read_torch_file(file)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} could not be read as a checkpoint. {error} Nothing from it was executed. Use "
            "a file written by hxwrappers."
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


def load_newest(paths: Sequence[Path], kind: str) -> dict[str, Any]:
    """Load the newest of several checkpoints that can be read.

    Args:
        paths: The files, the newest first; those that do not exist are passed over.
        kind: What the state must belong to.

    Raises:
        CheckpointError: None of them can be read.
    """
    newest, *older = [path for path in paths if path.exists()] or paths[:1]
    try:
        return load_checkpoint(newest, kind)
    except CheckpointError as error:
        if not older:
            raise
        warnings.warn(f"{error} The checkpoint before it is used.", stacklevel=2)
    return load_newest(older, kind)


def checkpoint_kind(path: str | os.PathLike[str]) -> str | None:
    """What a checkpoint belongs to; None if the file is none, or cannot be read.

    Args:
        path: The file to read.
    """
    try:
        document = read_torch_file(Path(path))
    except CheckpointError:
        return None
    kind = document.get("kind") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else None


def says_the_same(value: object, other: object) -> bool:
    """Whether two values without tensors are equal; what has a tensor in it is something else.

    Example:
        >>> says_the_same({"size": 3}, {"size": 3}), says_the_same(3, torch.zeros(3))
        (True, False)
    """
    try:
        return bool(value == other)
    except RuntimeError:  # torch does not say whether several numbers are equal to one
        return False


def is_plain(value: object) -> bool:
    """Whether a value may stand in a checkpoint.

    Example:
        >>> is_plain({"sizes": [1, 2]}), is_plain(print)
        (True, False)
    """
    try:
        require_plain(value, "value")
    except CheckpointError:
        return False
    return True


def require_plain(value: object, where: str, depth: int = 1) -> None:
    """Refuse all that `load_checkpoint` would refuse: a file that cannot be read saves nothing.

    Args:
        value: What is to stand in a checkpoint.
        where: What to call it in the message.
        depth: How deep it lies in the checkpoint.

    Raises:
        CheckpointError: It, or something in it, may not stand in a checkpoint.

    Example:
        >>> require_plain({"sizes": [1, print]}, "state")
        Traceback (most recent call last):
        ...
        hxwrappers.errors.CheckpointError: state['sizes'][1] is a builtin_function_or_method; ...
    """
    if _is_plain_leaf(value):
        return
    if depth > MAX_DEPTH:
        raise CheckpointError(f"{where} lies more than {MAX_DEPTH} deep; a checkpoint is flatter.")
    if _is_plain_mapping(value):
        for key, item in value.items():
            if type(key) not in (str, int) or not _is_plain_leaf(key):
                raise CheckpointError(
                    f"{where} has the key {key!r}; keys of a checkpoint are strings and integers."
                )
            require_plain(item, f"{where}[{key!r}]", depth + 1)
    elif type(value) in (list, tuple, torch.Size):
        for index, item in enumerate(cast(Sequence[object], value)):
            require_plain(item, f"{where}[{index}]", depth + 1)
    else:
        raise CheckpointError(
            f"{where} is a {type(value).__name__}; a checkpoint holds tensors, numbers, strings, "
            "None, lists and dicts only, no tensors without numbers of their own and no subclasses "
            "of any of these. Convert it, for example by float(...), dict(...) or .detach()."
        )


def _is_plain_leaf(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        stored = value.layout is torch.strided and not value.is_meta and not value.is_quantized
        return type(value) is torch.Tensor and stored and not (value.is_conj() or value.is_neg())
    if type(value) is int:
        return value.bit_length() < 8 * LONGEST_INTEGER
    return type(value) in (str, float, bool, type(None))


def _is_plain_mapping(value: object) -> TypeGuard[Mapping[Any, object]]:
    # Others than dicts are made dicts when they are stored.
    return isinstance(value, Mapping) and (
        type(value) in (dict, OrderedDict) or not isinstance(value, dict)
    )
