"""States as JSON and named tensors: what a safetensors file holds of a nested dict.

Structure, numbers and strings are JSON; a tensor in it is `{"$tensor": NAME}`. Names are the path
to the tensor, such as `model.predictor.0.weight`. Tensors that are equal bit by bit, such as a
table that many wrappers share, have one name. Of a tensor whose dimensions lie in memory in another
order, such as channels last, the order is noted, since sums in another order round otherwise.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers.errors import CheckpointError

MAX_DEPTH = 90
MAX_BYTES = 1 << 30
"""So much may a file of any size become by naming the same tensors again and again, ..."""
MAX_GROWTH = 64
"""... and so many times as much as it holds."""
_WORTH = 4096
"""Bytes from which on it is worth to look for an equal tensor."""
_TENSOR, _PERMUTED = "$tensor", "$permuted"
_TUPLE, _ITEMS, _FLOAT = "$tuple", "$items", "$float"
_MARKERS = {_TENSOR, _PERMUTED, _TUPLE, _ITEMS, _FLOAT}
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def split_state(state: Mapping[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """A state as JSON and tensors; it is not changed, and no two tensors share memory.

    Args:
        state: Tensors, numbers, strings, None, and lists, tuples and dicts of these.

    Example:
        >>> text, tensors = split_state({"net": {"weight": torch.ones(2)}, "steps": 3})
        >>> text
        '{"net": {"weight": {"$tensor": "net.weight"}}, "steps": 3}'
        >>> tensors
        {'net.weight': tensor([1., 1.])}
    """
    splitter = _Splitter()
    return json.dumps(splitter.plain(state, ""), allow_nan=False), splitter.tensors


def join_state(text: str, tensors: Mapping[str, Tensor]) -> Any:
    """The state that `split_state` split, each tensor with memory of its own.

    Args:
        text: The JSON.
        tensors: The tensors; those of the state are these, and copies of these.

    Raises:
        CheckpointError: The JSON is nested too deep, names tensors that are not there, or names
            the same ones so often that memory would not suffice.

    Example:
        >>> first, second = join_state('[{"$tensor": "a"}, {"$tensor": "a"}]', {"a": torch.ones(2)})
        >>> first.data_ptr() == second.data_ptr()
        False
    """
    joiner = _Joiner(tensors, sum(tensor.nbytes for tensor in tensors.values()) + len(text))
    return joiner.state(json.loads(text), 0)


def content_checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """A checksum of a whole state, since a safetensors file has none.

    Args:
        text: The state's JSON.
        tensors: The state's tensors, contiguous and on the CPU.
    """
    parts = [
        [name, str(tensor.dtype), list(tensor.shape), zlib.crc32(_bytes(tensor).data)]
        for name, tensor in sorted(tensors.items())
    ]
    return f"{zlib.crc32(json.dumps([text, parts]).encode()):08x}"


class _Splitter:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._alike: dict[tuple[object, ...], list[str]] = {}
        self._memory: set[int] = set()

    def plain(self, value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            name = self._name(value.detach().cpu().contiguous(), path)
            order = _order(value)
            return {_PERMUTED: [name, order]} if order else {_TENSOR: name}
        if isinstance(value, Mapping):
            items = {key: self.plain(item, _below(path, key)) for key, item in value.items()}
            is_object = all(type(key) is str for key in items) and not _is_marked(items)
            return items if is_object else {_ITEMS: [list(item) for item in items.items()]}
        if isinstance(value, list | tuple):
            parts = [self.plain(part, _below(path, at)) for at, part in enumerate(value)]
            return {_TUPLE: parts} if isinstance(value, tuple) else parts
        if type(value) is float and not math.isfinite(value):
            return {_FLOAT: str(value)}
        return value

    def _name(self, tensor: Tensor, path: str) -> str:
        path = path.encode(errors="replace").decode()  # names are UTF-8, keys need not be
        name, number = path, 1
        while name in self.tensors or name == "__metadata__":
            number += 1
            name = f"{path}#{number}"
        if tensor.nbytes >= _WORTH:
            content = _bytes(tensor)
            # The beginnings tell nearly all that differ, at the cost of a glance.
            key = (tensor.dtype, tensor.shape, content[:_WORTH].tobytes())
            alike = self._alike.setdefault(key, [])
            for other in alike:
                if np.array_equal(_bytes(self.tensors[other]), content):
                    return other
            alike.append(name)
        memory = tensor.untyped_storage().data_ptr()
        self.tensors[name] = tensor.clone() if memory in self._memory else tensor
        self._memory.add(memory)
        return name


class _Joiner:
    def __init__(self, tensors: Mapping[str, Tensor], size: int) -> None:
        self._tensors = tensors
        self._room = max(MAX_BYTES, MAX_GROWTH * size)
        self._used: set[str] = set()

    def state(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise CheckpointError(f"It is nested more than {MAX_DEPTH} deep.")
        if isinstance(value, list):
            return [self.state(part, depth + 1) for part in value]
        if not isinstance(value, dict):
            return value
        if not _is_marked(value):
            return {key: self.state(part, depth + 1) for key, part in value.items()}
        ((marker, content),) = value.items()
        return self._marked(marker, content, depth)

    def _marked(self, marker: str, content: Any, depth: int) -> Any:
        if marker == _TENSOR:
            return self._tensor(content)
        if marker == _PERMUTED:
            name, order = content
            back = sorted(range(len(order)), key=order.__getitem__)
            return self._tensor(name).permute(order).contiguous().permute(back)
        if marker == _FLOAT:
            return _FLOATS[content]
        parts = cast(list[Any], self.state(_list(content), depth))
        if marker == _TUPLE:
            return tuple(parts)
        found = dict(parts)
        if not all(type(key) in (str, int) for key in found):
            raise CheckpointError("It has keys other than strings and integers.")
        return found

    def _tensor(self, name: object) -> Tensor:
        if not isinstance(name, str) or name not in self._tensors:
            raise CheckpointError(f"It names a tensor {str(name)[:80]!r} that is not in the file.")
        tensor = self._tensors[name]
        self._room -= tensor.nbytes
        if self._room < 0:
            raise CheckpointError("It names tensors so often that there is no room for them all.")
        if name in self._used:
            return tensor.clone()
        self._used.add(name)
        return tensor


def _list(content: object) -> Sequence[object]:
    if not isinstance(content, list):
        raise CheckpointError("It has something else where a list is needed.")
    return content


def _is_marked(items: Mapping[Any, object]) -> bool:
    return len(items) == 1 and next(iter(items)) in _MARKERS


def _order(tensor: Tensor) -> list[int] | None:
    """The dimensions of a dense tensor as they lie in memory; None where that is the usual one."""
    if tensor.is_contiguous() or torch.empty_like(tensor).stride() != tensor.stride():
        return None
    return sorted(range(tensor.ndim), key=tensor.stride().__getitem__, reverse=True)


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _bytes(tensor: Tensor) -> npt.NDArray[np.uint8]:
    """The content of a tensor, bit by bit: equal numbers may differ there, and NaN be the same."""
    if not tensor.numel():  # empty ones have strange strides
        return np.zeros(0, np.uint8)
    return np.asarray(tensor.reshape(-1).view(torch.uint8).numpy())
