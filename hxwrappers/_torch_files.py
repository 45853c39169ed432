"""Files of `torch.save`, read without torch's unpickler and within the size of the file.

`torch.load(weights_only=True)` executes no code, but it makes a `bytearray` or a tensor of any size
that is asked for, takes pairs of pairs of pairs for as many values as there would be, and reads no
checksums. Here only the archive's own bytes become tensors.
"""

from __future__ import annotations

import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from hxwrappers._pickle_machine import INSTRUCTIONS, MARK, Name, PickleMachine
from hxwrappers._text import brief
from hxwrappers.errors import CheckpointError

__all__ = ["LONGEST_INTEGER", "MAX_DEPTH", "read_torch_file"]

MAX_DEPTH = 90
LONGEST_INTEGER = 32  # bytes
MAX_VALUES = 1 << 25
MAX_BYTES = 1 << 30
"""So much may a file of any size become by naming the same tensors again and again, ..."""
MAX_GROWTH = 64
"""... and so many times as much as it holds."""
_STORAGES = {
    "Bool": torch.bool,
    "Byte": torch.uint8,
    "Char": torch.int8,
    "Short": torch.int16,
    "Int": torch.int32,
    "Long": torch.int64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Float": torch.float32,
    "Double": torch.float64,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}


def read_torch_file(file: Path | IO[bytes]) -> Any:
    """Read what `torch.save` wrote: tensors, numbers, strings, None, and lists, tuples and dicts.

    Args:
        file: The file.

    Returns:
        The same, with all tensors on the CPU.

    Raises:
        CheckpointError: The file is damaged, or holds anything else or more than it should. Nothing
            from it was executed.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> torch.save({"weight": torch.arange(3), "steps": 2}, stream)
        >>> read_torch_file(stream)
        {'weight': tensor([0, 1, 2]), 'steps': 2}
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive)
            document = _Machine(archive, members).run()
        _measure(document, {}, max(MAX_BYTES, MAX_GROWTH * sum(members.values())))
    except CheckpointError:
        raise
    except Exception as error:  # zipfile raises many kinds for a malformed archive
        raise CheckpointError(
            f"The file is truncated or damaged ({type(error).__name__}: {brief(error)})."
        ) from error
    return document


def _members(archive: zipfile.ZipFile) -> dict[str, int]:
    """The names in an archive and their sizes, which together are no more than the file's."""
    items = archive.infolist()
    if any(item.compress_type != zipfile.ZIP_STORED for item in items):
        raise CheckpointError("The file has a compression that torch.save does not use.")
    members = {item.filename: item.file_size for item in items}
    stream = archive.fp
    assert stream is not None
    if len(members) < len(items) or sum(members.values()) > stream.seek(0, 2):
        raise CheckpointError("The file's parts lie one over the other; it is damaged or hostile.")
    return members


class _Storage:
    """A part of the archive that is a tensor's memory."""

    def __init__(self, memory: Tensor, dtype: torch.dtype | None) -> None:
        self.memory, self.dtype = memory, dtype


def _tensor(
    storage: object,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: object,
    hooks: object,  # noqa: ARG001 - always empty
    *more: Any,
) -> Tensor:
    """What `torch._utils._rebuild_tensor_v2` and `_v3` make, of numbers that are there."""
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor of something that is no memory")
    dtype = storage.dtype
    if dtype is None:
        dtype, more = _DTYPES[more[0].name], more[1:]
    if more and more[0]:
        raise CheckpointError("The file has a tensor that is conjugated or negated lazily.")
    numbers = [offset, *size, *stride]
    is_shape = all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)
    if not is_shape or len(size) > MAX_DEPTH:
        raise CheckpointError("The file has a tensor of a strange shape.")
    flat = storage.memory.view(dtype)
    wanted = 1
    for length in size:
        wanted *= length
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if wanted > len(flat) or (wanted and last >= len(flat)):
        raise CheckpointError(
            f"The file has a tensor of shape {tuple(size)} without its numbers; it is damaged or "
            "hostile."
        )
    tensor = flat.as_strided(size, stride, offset)
    return tensor.requires_grad_() if requires_grad is True else tensor


def _ordered() -> OrderedDict[Any, Any]:
    """An empty one: copies of others, again and again, would be a way to much memory."""
    return OrderedDict()


def _size(lengths: object) -> object:
    if type(lengths) is not tuple:
        raise TypeError("a size that is no tuple")
    return lengths


_DTYPES = {
    f"torch {name}": dtype
    for name, dtype in vars(torch).items()
    if isinstance(dtype, torch.dtype) and dtype.itemsize and not name.startswith(("q", "bits"))
}
_KINDS = {f"torch {name}Storage": dtype for name, dtype in _STORAGES.items()}
_UNTYPED = "torch.storage UntypedStorage"
_NAMES: dict[str, Callable[..., Any] | None] = {
    **dict.fromkeys((*_KINDS, *_DTYPES, _UNTYPED)),
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_tensor_v3": _tensor,
    "torch Size": _size,
    "collections OrderedDict": _ordered,
}


def _storage(machine: Any) -> None:
    machine.storage()


_INSTRUCTIONS = {**INSTRUCTIONS, b"Q": _storage}


class _Machine(PickleMachine):
    names = _NAMES
    error = CheckpointError
    instructions = _INSTRUCTIONS
    most_containers = MAX_VALUES
    longest_integer = LONGEST_INTEGER

    def __init__(self, archive: zipfile.ZipFile, members: dict[str, int]) -> None:
        (pickle,) = (name for name in members if name.endswith("/data.pkl"))
        self.archive, self.members = archive, members
        self.folder = pickle.removesuffix("data.pkl")
        order = self.folder + "byteorder"
        if order in members and archive.read(order) != sys.byteorder.encode():
            raise CheckpointError("The file is of a machine with another order of bytes.")
        self.storages: dict[str, Tensor] = {}
        super().__init__(self.content(pickle))

    def content(self, name: str) -> bytes:
        """A member of the archive, whose checksum is right."""
        try:
            return self.archive.read(name)
        except zipfile.BadZipFile as error:
            raise CheckpointError(f"The file is damaged ({name}).") from error

    def storage(self) -> None:
        """The memory of a tensor, as the file describes it: a kind, a key, a place, a size."""
        word, kind, key, _, count = self.pop()
        if word != "storage" or not isinstance(kind, Name) or type(key) is not str:
            raise ValueError("a reference to something that is no memory")
        dtype = None if kind.name == _UNTYPED else _KINDS[kind.name]
        name = f"{self.folder}data/{key}"
        if (1 if dtype is None else dtype.itemsize) * count != self.members[name]:
            raise CheckpointError(
                f"The file has a tensor without its numbers ({name}); it is damaged or hostile."
            )
        if key not in self.storages:
            self.storages[key] = memory = torch.empty(self.members[name], dtype=torch.uint8)
            memory.numpy()[:] = np.frombuffer(self.content(name), np.uint8)
        self.push(_Storage(self.storages[key], dtype))

    def build(self) -> None:
        """What PyTorch notes beside the entries of a net's state."""
        state, target = self.pop(), self.stack[-1]
        if type(target) is not OrderedDict or type(state) is not dict or {*state} - {"_metadata"}:
            super().build()
        _measure(state, {}, 0)
        vars(target).update(state)


def _measure(value: Any, done: dict[int, tuple[int, int]], limit: int, depth: int = 0) -> Any:
    """How many values, and bytes of tensors, this is with memory of its own for each.

    What a file mentions several times is there once when it is read, but not afterwards.
    """
    if isinstance(value, Tensor):
        return 1, value.nbytes
    if type(value) in (str, int, float, bool, type(None)):
        return 1, 0
    if type(value) not in (list, tuple, dict, OrderedDict) or value is MARK or depth > MAX_DEPTH:
        raise CheckpointError(
            "The file holds objects that are not tensors and plain values, or is nested too deep."
        )
    if id(value) not in done:
        values, size = 1, 0
        items = [*value, *value.values()] if isinstance(value, dict) else value
        for item in items:
            more, larger = _measure(item, done, limit, depth + 1)
            values, size = values + more, size + larger
            if values > MAX_VALUES or size > limit:
                raise CheckpointError(
                    "The file names the same parts so often that there is no room for them all; "
                    "it is damaged or hostile."
                )
        done[id(value)] = values, size
    return done[id(value)]
