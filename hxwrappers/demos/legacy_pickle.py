"""Reading pickles of plain data without unpickling.

`pickle.loads` runs what a file tells it to. This reader is a small machine of its own for the
instructions that lists, dicts, numbers, strings and plain NumPy arrays need, and it refuses every
other instruction and every name but these five: `numpy ndarray`, `numpy dtype`,
`numpy.core.multiarray _reconstruct`, `numpy.core.multiarray scalar`, `_codecs encode`. The names
are never imported: arrays are read from their bytes, with the dtype and the size checked.

The instructions are those of Python's `pickletools`, protocols 0 to 4.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hxwrappers.errors import DemoFileError

__all__ = ["load_plain_pickle"]

MAX_CONTAINERS = 1 << 18
MAX_DEPTH = 3
MAX_LINE = 1 << 16
_DTYPE = re.compile(r"^[<>|=]?(b1|[iu][1248]|f[48])$")
_MARK = object()


@dataclass(frozen=True)
class _Name:
    """One of the names that a file may mention."""

    name: str


@dataclass
class _DType:
    code: str
    order: str = "|"

    def resolve(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


@dataclass
class _Array:
    content: list[np.ndarray[Any, Any]] = field(default_factory=list)


_NAMES = {
    name: _Name(name)
    for name in (
        "numpy ndarray",
        "numpy dtype",
        "numpy.core.multiarray _reconstruct",
        "numpy.core.multiarray scalar",
        "numpy._core.multiarray _reconstruct",
        "numpy._core.multiarray scalar",
        "_codecs encode",
    )
}


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


class _Machine:
    """The stack, the memo and the instructions."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.containers = 0

    def run(self) -> Any:
        while True:
            code = self.take(1)
            if code == b".":
                if len(self.stack) != 1:
                    raise ValueError("the stack is not empty at the end")
                return self.stack[0]
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise DemoFileError(
                    f"The pickle has the instruction {code!r} at byte {self.at - 1}, which plain "
                    "data do not need. It was refused and nothing in it was executed."
                )
            instruction(self)

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise IndexError("the pickle ends too early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def line(self) -> bytes:
        end = self.data.index(b"\n", self.at, self.at + MAX_LINE)
        part = self.data[self.at : end]
        self.at = end + 1
        return part

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value was expected")
        return value

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def container(self, value: Any) -> None:
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise DemoFileError(
                f"The pickle builds more than {MAX_CONTAINERS} lists, tuples and dicts; it was "
                "refused."
            )
        self.push(value)

    def mark(self) -> None:
        self.container(_MARK)

    def long_integer(self, length: int) -> None:
        if length > 16:
            raise DemoFileError(f"The pickle has an integer of {length} bytes; it was refused.")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def name(self, text: str) -> None:
        if text not in _NAMES:
            raise DemoFileError(
                f"The pickle names {text[:80]!r}, which plain data do not need. It was refused and "
                "nothing in it was executed."
            )
        self.push(_NAMES[text])

    def stack_name(self) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("a name that is no string")
        self.name(f"{module} {name}")

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.container(tuple(reversed(items)))

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError("items for something that is no list")
        target.extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise TypeError("items for something that is no dict")
        target.update(self.paired(items))

    @staticmethod
    def paired(items: list[Any]) -> dict[Any, Any]:
        if not all(type(key) in (str, bytes, int) for key in items[::2]):
            raise TypeError("a key that is no string")
        return dict(zip(items[::2], items[1::2], strict=True))

    def call(self) -> None:
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, _Name) or type(arguments) is not tuple:
            raise ValueError("a call of something that is no name")
        self.push(_CALLS[name.name.rpartition(" ")[2]](*arguments))

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _DType):
            target.order = _byte_order(state)
        elif isinstance(target, _Array) and not target.content:
            target.content.append(_array(*state))
        else:
            raise ValueError("a state for something that has none")

    def remember(self, index: int) -> None:
        if self.stack[-1] is _MARK:
            raise ValueError("a mark cannot be remembered")
        self.memo[index] = self.stack[-1]


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
    if kind is not _NAMES["numpy ndarray"] or shape != (0,):
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


_CALLS: dict[str, Callable[..., Any]] = {
    "dtype": _call_dtype,
    "_reconstruct": _call_reconstruct,
    "scalar": _call_scalar,
    "encode": _call_encode,
}


def _plain(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """Replace the array stand-ins, once for each part however often it is mentioned."""
    if isinstance(value, _Array):
        if not value.content:
            raise ValueError("an array without content")
        return value.content[0]
    if isinstance(value, _Name | _DType) or value is _MARK:
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


def _decimal(machine: _Machine) -> None:
    text = machine.line().rstrip(b"L")
    if text in (b"00", b"01"):
        machine.push(text == b"01")
        return
    if len(text) > 40:
        raise DemoFileError("The pickle has an integer of more than 40 digits; it was refused.")
    machine.push(int(text))


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),
    b"\x95": lambda m: m.take(8),
    b"(": _Machine.mark,
    b"0": _Machine.pop,
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": _decimal,
    b"L": _decimal,
    b"K": lambda m: m.push(m.take(1)[0]),
    b"M": lambda m: m.push(m.number("<H")),
    b"J": lambda m: m.push(m.number("<i")),
    b"\x8a": lambda m: m.long_integer(m.take(1)[0]),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    b"C": lambda m: m.push(m.take(m.take(1)[0])),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"U": lambda m: m.push(m.take(m.take(1)[0]).decode("latin1")),
    b"T": lambda m: m.push(m.take(m.number("<i")).decode("latin1")),
    b"X": lambda m: m.push(m.take(m.number("<I")).decode()),
    b"\x8c": lambda m: m.push(m.take(m.take(1)[0]).decode()),
    b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
    b")": lambda m: m.container(()),
    b"t": lambda m: m.container(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"]": lambda m: m.container([]),
    b"l": lambda m: m.container(m.pop_to_mark()),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.pop_to_mark()),
    b"}": lambda m: m.container({}),
    b"d": lambda m: m.container(m.paired(m.pop_to_mark())),
    b"s": lambda m: m.update([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.update(m.pop_to_mark()),
    b"q": lambda m: m.remember(m.take(1)[0]),
    b"r": lambda m: m.remember(m.number("<I")),
    b"p": lambda m: m.remember(int(m.line())),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.push(m.memo[m.take(1)[0]]),
    b"j": lambda m: m.push(m.memo[m.number("<I")]),
    b"g": lambda m: m.push(m.memo[int(m.line())]),
    b"c": lambda m: m.name(f"{m.line().decode('latin1')} {m.line().decode('latin1')}"),
    b"\x93": _Machine.stack_name,
    b"R": _Machine.call,
    b"b": _Machine.build,
}
