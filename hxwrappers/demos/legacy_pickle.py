"""Reading pickles of plain data and plain NumPy arrays without unpickling.

The names that such a pickle may mention are never imported: `numpy ndarray`, `numpy dtype`,
`numpy.core.multiarray _reconstruct`, `numpy.core.multiarray scalar`, `_codecs encode`. Arrays are
read from their bytes, with the dtype and the size checked.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hxwrappers._pickle_machine import INSTRUCTIONS, MARK, Name, PickleMachine
from hxwrappers.errors import DemoFileError

__all__ = ["load_plain_pickle"]

MAX_DEPTH = 3
_DTYPE = re.compile(r"^[<>|=]?(b1|[iu][1248]|f[48])$")


@dataclass
class _DType:
    code: str
    order: str = "|"

    def resolve(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


@dataclass
class _Array:
    content: list[np.ndarray[Any, Any]] = field(default_factory=list)


def load_plain_pickle(data: bytes) -> Any:
    """Read a pickle of plain data.

    Args:
        data: The pickle.

    Returns:
        What it holds: None, booleans, numbers, strings, bytes, tuples, lists, dicts and arrays.

    Raises:
        DemoFileError: The pickle holds an instruction or a name that plain data do not need,
            declares more than it has, or is truncated or malformed. Nothing was executed.

    Example:
        >>> import pickle
        >>> load_plain_pickle(pickle.dumps({"actions": [0, 1]}, 3))
        {'actions': [0, 1]}
        >>> load_plain_pickle(pickle.dumps(print))
        Traceback (most recent call last):
        ...
        hxwrappers.errors.DemoFileError: The pickle names 'builtins print', ...
    """
    try:
        return _plain(_Machine(data).run(), 0, {})
    except DemoFileError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error, OverflowError) as error:
        raise DemoFileError(
            f"The pickle is truncated or malformed ({type(error).__name__}). Nothing in it was "
            "executed."
        ) from error


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin1")
    if type(value) is not str:
        raise TypeError("a string was expected")
    return value


def _call_dtype(code: object, *_: object) -> _DType:
    text = _text(code)
    if not _DTYPE.match(text):
        raise DemoFileError(
            f"The pickle has data of the type {text[:80]!r}; only numbers are read. It was refused."
        )
    return _DType(text)


def _byte_order(state: object) -> str:
    match state:
        case (int(), order, None, None, None, *_):
            text = _text(order)
            if text in ("<", ">", "|", "="):
                return text
    raise ValueError("a dtype with fields or of an unknown byte order")


def _call_reconstruct(kind: object, shape: object, _: object) -> _Array:
    if kind != Name("numpy ndarray") or shape != (0,):
        raise ValueError("something other than an array is reconstructed")
    return _Array()


def _array(_: object, shape: Any, dtype: Any, fortran: object, content: Any) -> Any:
    if not isinstance(dtype, _DType) or type(shape) is not tuple or fortran:
        raise TypeError("an array of an unknown form")
    kind = dtype.resolve()
    if isinstance(content, str):
        content = content.encode("latin1")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("an array of a strange shape")
    if type(content) is not bytes or math.prod(shape) * kind.itemsize != len(content):
        raise DemoFileError("The pickle has an array whose shape and content disagree.")
    return np.frombuffer(content, kind).reshape(shape)


def _call_scalar(dtype: object, content: object) -> Any:
    return _array(1, (), dtype, False, content)[()].item()


def _call_encode(text: object, codec: object) -> bytes:
    if type(text) is not str or codec not in ("latin1", "latin-1"):
        raise ValueError("an encoding other than latin-1")
    return text.encode("latin1")


_NAMES: dict[str, Callable[..., Any] | None] = {
    "numpy ndarray": None,
    "numpy dtype": _call_dtype,
    "numpy.core.multiarray _reconstruct": _call_reconstruct,
    "numpy.core.multiarray scalar": _call_scalar,
    "numpy._core.multiarray _reconstruct": _call_reconstruct,
    "numpy._core.multiarray scalar": _call_scalar,
    "_codecs encode": _call_encode,
}


class _Machine(PickleMachine):
    names = _NAMES
    error = DemoFileError
    instructions = INSTRUCTIONS

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _DType):
            target.order = _byte_order(state)
        elif isinstance(target, _Array) and not target.content:
            target.content.append(_array(*state))
        else:
            super().build()


def _plain(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """Replace the array stand-ins, once for each part however often it is mentioned."""
    if isinstance(value, _Array):
        if not value.content:
            raise ValueError("an array without content")
        return value.content[0]
    if isinstance(value, Name | _DType) or value is MARK:
        raise DemoFileError("The pickle holds a name where plain data were expected.")
    if type(value) not in (list, tuple, dict):
        return value
    if depth > MAX_DEPTH:
        raise DemoFileError("The pickle is nested deeper than a demonstration is.")
    if id(value) not in done:
        if type(value) is dict:
            plain = {key: _plain(item, depth + 1, done) for key, item in value.items()}
        else:
            plain = type(value)(_plain(item, depth + 1, done) for item in value)
        done[id(value)] = plain
    return done[id(value)]
