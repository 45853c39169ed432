"""Pickles as plain data: classes in them stay names, and nothing in them is called."""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import brief
from hxwrappers.errors import CheckpointError

_DTYPES = frozenset(np.dtype(kind).str[1:] for kind in "?bBhHiIlLqQfd")


class Inert:
    """What stands in the place of an object of any class."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def attributes(self) -> dict[str, Any]:
        """The attributes that the pickle gives the object."""
        return dict(self.state) if isinstance(self.state, dict) else {}


def read_pickle(data: bytes, name: object) -> Any:
    """Read a pickle without importing or calling anything that it names.

    Containers, numbers and text come as they are, every other object as an `Inert`.

    Args:
        data: The pickle.
        name: What it is called in messages, such as its path.

    Raises:
        CheckpointError: It is no pickle, or a damaged one.
    """
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # a malformed pickle makes pickle raise nearly anything
        raise CheckpointError(
            f"{name} cannot be read: {type(error).__name__}: {brief(error, 100)}. Nothing in it "
            "was executed."
        ) from error


def array_of(value: Any) -> npt.NDArray[Any] | None:
    """The array of numbers that an `Inert` stands for, or None where it is no such array."""
    if not isinstance(value, Inert):
        return None
    match value.state, value.arguments:
        case (_, tuple(shape), Inert() as dtype, False, bytes(data)), _:  # as BUILD fills it
            return _array(data, dtype, shape)
        case None, (bytes() | bytearray() as data, Inert() as dtype, tuple(shape), "C"):
            return _array(bytes(data), dtype, shape)
        case None, (Inert() as dtype, bytes(data)):  # one number of NumPy
            return _array(data, dtype, ())
    return None


def _array(data: bytes, dtype: Inert, shape: tuple[Any, ...]) -> npt.NDArray[Any] | None:
    match dtype.arguments:
        case str(name), *_ if name in _DTYPES:
            pass
        case _:
            return None
    swapped = isinstance(dtype.state, tuple) and dtype.state[1:2] == (">",)
    kind = np.dtype(name).newbyteorder(">" if swapped else "<")
    if not all(type(length) is int and length >= 0 for length in shape):
        return None
    if math.prod(shape) * kind.itemsize != len(data):
        return None
    return np.frombuffer(data, kind).reshape(shape)


# The one in C makes room for as many objects as a pickle claims to hold.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return type(name, (Inert,), {"__module__": module})

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to {brief(pid, 40)}, which lies outside of it")
