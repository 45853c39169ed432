"""Frozen states as bytes, decoded without executing code.

A tree holds None, booleans, numbers, strings, bytes, arrays, lists, tuples, dicts, sets and deques
of these, and the markers of `hxwrappers.snapshots.capture`. Equal trees give equal bytes. The bytes
are a tag per value, then its content, with lengths as little-endian `uint32`.
"""

from __future__ import annotations

import collections
import math
import re
import struct
from typing import Any

import numpy as np

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots.capture import EnumState, GeneratorState, ObjectState, Unchanged

MAX_DEPTH = 32
_DTYPE = re.compile(r"^[<>|=](b1|[iu][1248]|f[248]|c8|c16|U\d{1,4}|S\d{1,4})$")
_LENGTH = struct.Struct("<I")
_FLOAT = struct.Struct("<d")


def encode(tree: Any) -> bytes:
    """Encode a tree.

    Args:
        tree: What `capture` returned, or any nesting of plain values and arrays.

    Raises:
        SnapshotError: The tree holds something that could not be read back without running code.

    Example:
        >>> decode(encode({"steps": 3, "frames": np.zeros(2, np.uint8)}))
        {'steps': 3, 'frames': array([0, 0], dtype=uint8)}
    """
    out = bytearray()
    _write(out, tree, 0)
    return bytes(out)


def decode(data: bytes) -> Any:
    """Decode what `encode` wrote.

    Args:
        data: The bytes; every length in them is checked against what is left before it is used.

    Raises:
        SnapshotError: The bytes are truncated, damaged or not of this encoding.
    """
    reader = _Reader(data)
    tree = reader.value(0)
    if reader.position != len(data):
        raise SnapshotError(
            f"A frozen state has {len(data) - reader.position} bytes too many; it is damaged."
        )
    return tree


def _put(out: bytearray, tag: bytes, content: bytes) -> None:
    out += tag + _LENGTH.pack(len(content)) + content


def _items(out: bytearray, tag: bytes, items: Any, depth: int) -> None:
    out += tag + _LENGTH.pack(len(items))
    for item in items:
        _write(out, item, depth + 1)


def _write(out: bytearray, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise SnapshotError(f"A state is nested more than {MAX_DEPTH} deep; it cannot be saved.")
    if value is None:
        out += b"N"
    elif isinstance(value, bool):
        out += b"T" if value else b"F"
    elif type(value) is int:
        _put(out, b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))
    elif type(value) is float:
        out += b"f" + _FLOAT.pack(value)
    elif type(value) is str:
        _put(out, b"s", value.encode("utf-8", "surrogatepass"))
    elif type(value) is bytes:
        _put(out, b"b", value)
    elif isinstance(value, np.generic):
        _write_array(out, b"n", np.asarray(value))
    elif isinstance(value, np.ndarray):
        _write_array(out, b"a", value)
    else:
        _write_nested(out, value, depth)


def _write_nested(out: bytearray, value: Any, depth: int) -> None:
    if type(value) is list:
        _items(out, b"l", value, depth)
    elif type(value) is tuple:
        _items(out, b"t", value, depth)
    elif type(value) is dict:
        _items(out, b"d", [part for pair in value.items() for part in pair], depth)
    elif type(value) in (set, frozenset):
        out += b"S" if type(value) is set else b"Z"
        out += _LENGTH.pack(len(value)) + b"".join(sorted(encode(item) for item in value))
    elif type(value) is collections.deque:
        _items(out, b"q", [value.maxlen, *value], depth)
    elif isinstance(value, Unchanged):
        out += b"k"
    elif isinstance(value, GeneratorState):
        _items(out, b"g", [value.state], depth)
    elif isinstance(value, ObjectState):
        _items(out, b"o", [value.kind, value.attributes], depth)
    elif isinstance(value, EnumState):
        _items(out, b"e", [value.kind, value.name], depth)
    else:
        raise SnapshotError(
            f"A value of type {type(value).__qualname__} cannot be written to a file: only plain "
            "values and arrays can be read back without running code."
        )


def _write_array(out: bytearray, tag: bytes, array: np.ndarray[Any, Any]) -> None:
    kind = array.dtype.str
    if not _DTYPE.match(kind):
        raise SnapshotError(f"An array of dtype {array.dtype} cannot be written to a file.")
    out += tag
    _put(out, b"", kind.encode())
    out += _LENGTH.pack(array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
    _put(out, b"", np.ascontiguousarray(array).tobytes())


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise SnapshotError("A frozen state ends too early; it is truncated or damaged.")
        part = self.data[self.position : end]
        self.position = end
        return part

    def length(self) -> int:
        return int(_LENGTH.unpack(self.take(4))[0])

    def block(self) -> bytes:
        return self.take(self.length())

    def values(self, depth: int) -> list[Any]:
        count = self.length()
        if count > len(self.data) - self.position:
            raise SnapshotError("A frozen state declares more items than it has bytes left.")
        return [self.value(depth + 1) for _ in range(count)]

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise SnapshotError(f"A frozen state is nested more than {MAX_DEPTH} deep.")
        tag = self.take(1)
        if tag in _CONSTANTS:
            return _CONSTANTS[tag]
        if tag in _LEAVES:
            return _LEAVES[tag](self)
        return self.nested(tag, depth)

    def integer(self) -> int:
        return int.from_bytes(self.block(), "little", signed=True)

    def number(self) -> float:
        return float(_FLOAT.unpack(self.take(8))[0])

    def text(self) -> str:
        try:
            return self.block().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise SnapshotError("A frozen state holds a string that is not UTF-8.") from error

    def scalar(self) -> Any:
        array = self.array()
        if array.ndim:
            raise SnapshotError("A frozen state holds an array where a scalar was expected.")
        return array[()]

    def nested(self, tag: bytes, depth: int) -> Any:
        if tag not in _BUILD:
            raise SnapshotError(f"A frozen state holds the unknown tag {tag!r}; it is damaged.")
        items = self.values(depth)
        try:
            return _BUILD[tag](items)
        except (TypeError, ValueError, IndexError) as error:
            raise SnapshotError(f"A frozen state holds a malformed {tag!r}: {error}.") from error

    def array(self) -> np.ndarray[Any, Any]:
        kind = self.block().decode("latin1")
        if not _DTYPE.match(kind):
            raise SnapshotError(f"A frozen state holds an array of the refused dtype {kind!r}.")
        dimensions = self.length()
        if dimensions > MAX_DEPTH:
            raise SnapshotError(f"A frozen state holds an array of {dimensions} dimensions.")
        shape = struct.unpack(f"<{dimensions}I", self.take(4 * dimensions))
        content = self.block()
        dtype = np.dtype(kind)
        if math.prod(shape) * dtype.itemsize != len(content):
            raise SnapshotError("A frozen state holds an array whose shape and size disagree.")
        return np.frombuffer(content, dtype).reshape(shape).copy()


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise ValueError("a dict with a key and no value")
    return dict(zip(items[::2], items[1::2], strict=True))


def _deque(items: list[Any]) -> collections.deque[Any]:
    maxlen = items[0]
    if maxlen is not None and (type(maxlen) is not int or not 0 <= maxlen <= 1 << 31):
        raise ValueError("a deque of a strange length")
    return collections.deque(items[1:], maxlen)


def _typed(items: list[Any], *types: type) -> list[Any]:
    if [type(item) for item in items] != list(types):
        raise TypeError("a marker with other contents than its kind has")
    return items


_CONSTANTS: dict[bytes, Any] = {b"N": None, b"T": True, b"F": False, b"k": Unchanged()}
_LEAVES: dict[bytes, Any] = {
    b"i": _Reader.integer,
    b"f": _Reader.number,
    b"s": _Reader.text,
    b"b": _Reader.block,
    b"a": _Reader.array,
    b"n": _Reader.scalar,
}
_BUILD: dict[bytes, Any] = {
    b"l": list,
    b"t": tuple,
    b"d": _pairs,
    b"S": set,
    b"Z": frozenset,
    b"q": _deque,
    b"g": lambda items: GeneratorState(*_typed(items, dict)),
    b"o": lambda items: ObjectState(*_typed(items, str, dict)),
    b"e": lambda items: EnumState(*_typed(items, str, str)),
}
