"""The instructions of pickles that plain data need, without unpickling.

`pickle.loads` runs what a file tells it to. This is a small machine of its own for the instructions
that lists, dicts, numbers and strings need; whoever uses it says which names a file may mention and
what stands for them. It refuses every other instruction and every other name, imports nothing, and
needs no more memory than the file and a limited number of containers.

The instructions are those of Python's `pickletools`, protocols 0 to 4.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hxwrappers.errors import HxWrappersError

__all__ = ["INSTRUCTIONS", "MARK", "Name", "PickleMachine"]

MAX_LINE = 1 << 16
MARK = object()


@dataclass(frozen=True)
class Name:
    """One of the names that a file may mention: module, blank, name."""

    name: str


class PickleMachine:
    """The stack, the memo and the instructions; one for each kind of file.

    Args:
        data: The pickle.

    Attributes:
        names: The names that it may mention, with what is called in place of each, if it is to be
            called.
        error: The class of the errors.
        most_containers: How many lists, tuples, dicts and marks it may build.
        longest_integer: How many bytes an integer may have.
        instructions: What each instruction does.
    """

    names: Mapping[str, Callable[..., Any] | None]
    error: type[HxWrappersError]
    instructions: Mapping[bytes, Callable[[Any], Any]]
    most_containers = 1 << 18
    longest_integer = 16

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.containers = 0

    def run(self) -> Any:
        """What the pickle builds.

        Raises:
            HxWrappersError: It needs an instruction or a name that it must not have, or too much.
            IndexError, KeyError, TypeError, ValueError, struct.error: It is malformed.
        """
        while True:
            code = self.take(1)
            if code == b".":
                if len(self.stack) != 1:
                    raise ValueError("the stack is not empty at the end")
                return self.stack[0]
            instruction = self.instructions.get(code)
            if instruction is None:
                raise self.error(
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
        if value is MARK:
            raise ValueError("a mark where a value was expected")
        return value

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def container(self, value: Any) -> None:
        self.containers += 1
        if self.containers > self.most_containers:
            raise self.error(
                f"The pickle builds more than {self.most_containers} lists, tuples and dicts; it "
                "was refused."
            )
        self.push(value)

    def mark(self) -> None:
        self.container(MARK)

    def long_integer(self, length: int) -> None:
        if length > self.longest_integer:
            raise self.error(f"The pickle has an integer of {length} bytes; it was refused.")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def name(self, text: str) -> None:
        if text not in self.names:
            raise self.error(
                f"The pickle names {text[:80]!r}, which plain data do not need. It was refused and "
                "nothing in it was executed."
            )
        self.push(Name(text))

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
        if type(target) not in (dict, OrderedDict):
            raise TypeError("items for something that is no dict")
        target.update(self.paired(items))

    @staticmethod
    def paired(items: list[Any]) -> dict[Any, Any]:
        if not all(type(key) in (str, bytes, int) for key in items[::2]):
            raise TypeError("a key that is no string")
        return dict(zip(items[::2], items[1::2], strict=True))

    def call(self) -> None:
        arguments, name = self.pop(), self.pop()
        function = self.names[name.name] if isinstance(name, Name) else None
        if function is None or type(arguments) is not tuple:
            raise ValueError("a call of something that is not to be called")
        self.push(function(*arguments))

    def build(self) -> None:
        """What an object is built from; most files have none."""
        raise ValueError("a state for something that has none")

    def remember(self, index: int) -> None:
        if self.stack[-1] is MARK:
            raise ValueError("a mark cannot be remembered")
        self.memo[index] = self.stack[-1]


def _decimal(machine: PickleMachine) -> None:
    text = machine.line().rstrip(b"L")
    if text in (b"00", b"01"):
        machine.push(text == b"01")
        return
    if len(text) > 40:
        raise machine.error("The pickle has an integer of more than 40 digits; it was refused.")
    machine.push(int(text))


INSTRUCTIONS: dict[bytes, Callable[[PickleMachine], Any]] = {
    b"\x80": lambda m: m.take(1),
    b"\x95": lambda m: m.take(8),
    b"(": PickleMachine.mark,
    b"0": PickleMachine.pop,
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
    b"X": lambda m: m.push(m.take(m.number("<I")).decode("utf-8", "surrogatepass")),
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
    b"\x93": PickleMachine.stack_name,
    b"R": PickleMachine.call,
    b"b": lambda m: m.build(),
}
