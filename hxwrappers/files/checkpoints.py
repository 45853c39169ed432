"""Checkpoint files, written atomically and read without executing code.

A checkpoint holds the tensors of a state by their names, such as `model.predictor.0.weight`. Its
header's metadata are `hxwrappers` (the version of the format), `kind` (what the state belongs to),
`state` (structure, numbers and strings as JSON) and `crc32` (of all that). A state holds tensors,
numbers, strings, None, and lists and dicts of these.

Any reader of safetensors opens one: `safe_open("policy.safetensors", "pt").metadata()["kind"]`.
"""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeGuard, cast

import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import nn

from hxwrappers._utils.checks import brief
from hxwrappers.errors import MALFORMED, CheckpointError, HxWrappersError
from hxwrappers.files.atomic import atomic_write
from hxwrappers.files.state_json import MAX_DEPTH, content_checksum, join_state, split_state

FORMAT = "1"
LONGEST_INTEGER = 32  # bytes
MAX_HEADER = 100_000_000
"""Bytes of JSON that safetensors reads."""
_DTYPES = {
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.bfloat16),
    *(torch.float32, torch.float64),
}


@contextmanager
def checkpoint_errors(what: str, advice: str = "") -> Iterator[None]:
    """Say so, by an error of this library, if a state has something else in it than should be.

    Errors of this library pass as they are.

    Args:
        what: What is wrong then, such as "The checkpoint is incomplete".
        advice: What to do about it.

    Raises:
        CheckpointError: There was one of the errors in `MALFORMED`.

    Example:
        >>> with checkpoint_errors("It is incomplete", "Use another."):
        ...     {"steps": 3}["updates"]
        Traceback (most recent call last):
        ...
        hxwrappers.errors.CheckpointError: It is incomplete (no 'updates'). Use another.
    """
    try:
        yield
    except HxWrappersError:
        raise
    except MALFORMED as error:
        found = f"no {error}" if isinstance(error, KeyError) else repr(error)
        raise CheckpointError(f"{what} ({brief(found)}). {advice}".rstrip()) from error


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
        >>> path = tempfile.mkdtemp() + "/model.safetensors"
        >>> save_checkpoint(path, "Example", {"weight": torch.ones(2), "steps": 3})
        >>> load_checkpoint(path, "Example")["steps"]
        3
    """
    require_plain(state, "state")
    text, tensors = split_state(state)
    header = {"format": "pt", "hxwrappers": FORMAT, "kind": kind, "state": text}
    data = to_safetensors(tensors, {**header, "crc32": content_checksum(kind + text, tensors)})
    if int.from_bytes(data[:8], "little") > MAX_HEADER:
        raise CheckpointError(
            f"The state has more than {MAX_HEADER // 10**6} MB of numbers and strings outside of "
            "tensors, which no reader of safetensors takes. Put long lists of numbers in tensors."
        )
    if not isinstance(path, str | os.PathLike):
        path.write(data)
        return
    atomic_write(path, lambda temporary: temporary.write_bytes(data), previous=previous)


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
    with _opened(path) as (file, header):
        kinds = (kind,) if isinstance(kind, str) else kind
        if header["kind"] not in kinds:
            raise CheckpointError(
                f"{path} is a checkpoint of {header['kind']!r}, but "
                f"{' or '.join(map(repr, kinds))} was expected."
            )
        # Copies, since the file stays mapped as long as a tensor of it lives.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    if content_checksum(header["kind"] + header["state"], tensors) != header["crc32"]:
        raise CheckpointError(
            f"{path} is damaged: its content does not fit its checksum. Use another copy of it."
        )
    try:
        state = join_state(header["state"], tensors)
        if not isinstance(state, dict):
            raise CheckpointError("It holds no state.")
    except (*MALFORMED, CheckpointError, RecursionError) as error:
        raise CheckpointError(
            f"{path} holds no state that can be read ({brief(error)}). Use a file written by "
            "hxwrappers."
        ) from error
    return state


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
        with _opened(path) as (_, header):
            return header["kind"]
    except CheckpointError:
        return None


@contextmanager
def _opened(path: str | os.PathLike[str] | IO[bytes]) -> Iterator[tuple[Any, dict[str, str]]]:
    """A checkpoint and the metadata of its header, with errors that say what to do."""
    if not isinstance(path, str | os.PathLike):
        # safetensors gives the header of files alone.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "checkpoint.safetensors"
            copy.write_bytes(path.read())
            with _opened(copy) as opened:
                yield opened
        return
    if not Path(path).is_file():
        raise CheckpointError(f"There is no checkpoint file at {path}.")
    try:
        with safe_open(path, "pt") as file:
            header: dict[str, str] = file.metadata() or {}
            if header.get("hxwrappers") != FORMAT or not {"kind", "state", "crc32"} <= {*header}:
                raise CheckpointError(
                    f"{path} is a safetensors file, but not a checkpoint of this version of "
                    f"hxwrappers: its header lacks `hxwrappers` = {FORMAT!r}. Use a file written "
                    "by hxwrappers."
                )
            yield file, header
    except HxWrappersError:
        raise
    except Exception as error:  # safetensors, torch and the system raise many kinds
        if zipfile.is_zipfile(path):
            raise CheckpointError(
                f"{path} is an archive of torch.save, such as hxwrappers wrote before version 0.1. "
                "Nothing from it was executed. Such files are no longer read: train again, or "
                "save the model anew, with this version."
            ) from error
        raise CheckpointError(
            f"{path} is truncated, damaged or no checkpoint ({brief(error)}). Nothing from it was "
            "executed. Use a file written by hxwrappers."
        ) from error


def equal_states(value: object, other: object) -> bool:
    """Whether two values without tensors are equal; what has a tensor in it is something else.

    Example:
        >>> equal_states({"size": 3}, {"size": 3}), equal_states(3, torch.zeros(3))
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
        stored = value.layout is torch.strided and not value.is_meta and value.dtype in _DTYPES
        return type(value) is torch.Tensor and stored and not (value.is_conj() or value.is_neg())
    if type(value) is int:
        return value.bit_length() < 8 * LONGEST_INTEGER
    return type(value) in (str, float, bool, type(None))


def _is_plain_mapping(value: object) -> TypeGuard[Mapping[Any, object]]:
    # Others than dicts are made dicts when they are stored.
    return isinstance(value, Mapping) and (
        type(value) in (dict, OrderedDict) or not isinstance(value, dict)
    )


_FEW = 1 << 16
"""Parameters that a net may have beyond the weights, so that weights that are missing get their own
error."""


@contextmanager
def limit_parameters(weights: object) -> Iterator[None]:
    """Refuse to make nets with more parameters than there are weights for.

    What making them draws is not taken from the caller's generator: the weights come from the file.
    A file of a few bytes can ask for a layer that takes all the memory. Parameters are counted as
    modules get them, before any of their memory is written to.

    Args:
        weights: Tensors, in dicts, lists and tuples; what else is among them does not count.

    Raises:
        CheckpointError: There are more parameters; the net is not made.

    Example:
        >>> with limit_parameters([torch.zeros(64, 64)]):
        ...     net = nn.Linear(10**6, 10**3)
        Traceback (most recent call last):
        ...
        hxwrappers.errors.CheckpointError: The file asks for nets that its weights are too few for.
    """
    left = _count(weights) + _FEW
    here = threading.get_ident()

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        if parameter is not None and threading.get_ident() == here:
            left -= parameter.numel()
            if left < 0:
                raise CheckpointError("The file asks for nets that its weights are too few for.")

    handle = nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        handle.remove()


def _count(weights: Any) -> int:
    if isinstance(weights, torch.Tensor):
        return weights.numel()
    if isinstance(weights, Mapping):
        return sum(map(_count, weights.values()))
    if isinstance(weights, list | tuple):
        return sum(map(_count, weights))
    return 0
