"""A reader of plain data in old pickles that executes no code.

The names that such a pickle may mention stand for functions of this module: `numpy ndarray`,
`numpy dtype`, `numpy.core.multiarray _reconstruct`, `numpy.core.multiarray scalar`, `_codecs
encode`. Before it is unpickled, its instructions are looked through for any that plain data do not
need, and for more containers than a demonstration has.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import DemoError

MAX_DEPTH = 3
MAX_CONTAINERS = 1 << 18
MAX_BITS = 128
_DTYPE = re.compile(r"^[<>|=]?(b1|[iu][1248]|f[48])$")
_CONTAINERS = {
    *("MARK", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE", "LIST", "DICT", "TUPLE"),
    *("TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "BUILD"),
}
_INSTRUCTIONS = {
    *_CONTAINERS,
    *("PROTO", "FRAME", "STOP", "POP", "GLOBAL", "STACK_GLOBAL"),
    *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"),
    *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
}


def load_plain_pickle(data: bytes) -> Any:
    """Read a pickle of plain data.

    Args:
        data: The pickle.

    Returns:
        What it holds: None, booleans, numbers, strings, bytes, tuples, lists, dicts and arrays.

    Raises:
        DemoError: The pickle holds an instruction or a name that plain data do not need,
            declares more than it has, or is truncated or malformed. Nothing was executed.

    Example:
        >>> import pickle
        >>> load_plain_pickle(pickle.dumps({"actions": [0, 1]}, 3))
        {'actions': [0, 1]}
        >>> load_plain_pickle(pickle.dumps(print))
        Traceback (most recent call last):
        ...
        hxwrappers.errors.DemoError: The pickle names 'builtins print', ...
    """
    try:
        _check_instructions(data)
        return _plain(_Unpickler(io.BytesIO(data), encoding="latin1").load(), 0, {})
    except DemoError:
        raise
    except Exception as error:  # pickle raises nearly any kind for a malformed one
        raise DemoError(
            f"The pickle is truncated or malformed ({type(error).__name__}). Nothing in it was "
            "executed."
        ) from error


def _check_instructions(data: bytes) -> None:
    """Refuse what the unpickler would need much memory for, or what plain data never have."""
    containers = 0
    for instruction, argument, at in pickletools.genops(data):
        name = instruction.name
        if name not in _INSTRUCTIONS:
            raise DemoError(
                f"The pickle has the instruction {name} at byte {at}, which plain data do not "
                "need. It was refused and nothing in it was executed."
            )
        containers += name in _CONTAINERS
        if containers > MAX_CONTAINERS:
            raise DemoError("The pickle has more lists, tuples and dicts than a demonstration.")
        if isinstance(argument, int):
            if argument.bit_length() > MAX_BITS:
                raise DemoError(f"The pickle has an integer of more than {MAX_BITS} bits.")
            if name.endswith("PUT") and argument > len(data):  # room is made for all up to it
                raise DemoError("The pickle numbers more values than it has; it was refused.")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _NAMES.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            raise DemoError(
                f"The pickle names {f'{module} {name}'[:200]!r}, which plain data do not need. It "
                "was refused and nothing in it was executed."
            )
        return _Name(found)


class _Name:
    """A name that may be called, and to which nothing else can be done."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)

    def __setstate__(self, _: object) -> None:
        raise TypeError("a name has no state")


class _DType:
    __slots__ = ("code", "order")

    def __init__(self, code: object, *_: object) -> None:
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not _DTYPE.match(text):
            raise DemoError(
                f"The pickle has data of the type {str(text)[:80]!r}; only numbers are read. It "
                "was refused."
            )
        self.code, self.order = text, "|"

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
                self.order = order
            case _:
                raise ValueError("a dtype with fields or of an unknown byte order")

    def resolve(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


class _Array:
    __slots__ = ("content",)

    def __init__(self, kind: object, shape: object, _: object) -> None:
        if not isinstance(kind, _Name) or kind.call is not _refuse or shape != (0,):
            raise ValueError("something other than an array is reconstructed")
        self.content: npt.NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        self.content = _array(shape, dtype, fortran, content)


def _array(shape: Any, dtype: Any, fortran: object, content: Any) -> npt.NDArray[Any]:
    if not isinstance(dtype, _DType) or type(shape) is not tuple or fortran:
        raise TypeError("an array of an unknown form")
    kind = dtype.resolve()
    if isinstance(content, str):
        content = content.encode("latin1")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("an array of a strange shape")
    if type(content) is not bytes or math.prod(shape) * kind.itemsize != len(content):
        raise DemoError("The pickle has an array whose shape and content disagree.")
    return np.frombuffer(content, kind).reshape(shape)


def _scalar(dtype: object, content: object) -> Any:
    return _array((), dtype, False, content)[()].item()


def _encode(text: object, codec: object) -> bytes:
    if type(text) is not str or codec not in ("latin1", "latin-1"):
        raise ValueError("an encoding other than latin-1")
    return text.encode("latin1")


def _refuse(*_: object) -> None:
    raise TypeError("an array is not made by its class")


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _refuse,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encode,
}


def _plain(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """Replace the array stand-ins, once for each part however often it is mentioned."""
    if isinstance(value, _Array):
        if value.content is None:
            raise ValueError("an array without content")
        return value.content
    if isinstance(value, _Name | _DType):
        raise DemoError("The pickle holds a name where plain data were expected.")
    if type(value) not in (list, tuple, dict):
        return value
    if depth > MAX_DEPTH:
        raise DemoError("The pickle is nested deeper than a demonstration is.")
    if id(value) not in done:
        if type(value) is dict:
            plain = {key: _plain(item, depth + 1, done) for key, item in value.items()}
        else:
            plain = type(value)(_plain(item, depth + 1, done) for item in value)
        done[id(value)] = plain
    return done[id(value)]
