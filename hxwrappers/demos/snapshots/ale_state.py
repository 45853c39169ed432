"""The layout of a serialised ALE state: taking it apart, checking it, putting it together.

The emulator trusts what it restores: a wrong length or an index out of range reads or writes
outside its tables and takes the process down. So every field of a state that comes from a file is
checked here first, against the layout and against a state of the running emulator.

Layout (little endian; a string is a `uint32` length and its bytes): the two paddles, the frame
number, the episode's frame number, mode, difficulty (6 x `uint32`), the machine as one string, the
paddles' lower and upper limit. The machine: the ROM's md5 (string), `"System"` (string), cycles,
the system generator as text (string), the blocks of the processor (`M6502Low`), the RAM and timer
(`M6532`), the picture and sound chips (`TIA`, `TIASound`) and the cartridge, each led by its name
as a string, then the game's own settings, a flag, and, where the flag says so, the generator of
sticky actions as text (string).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace

from hxwrappers.errors import SnapshotError

__all__ = [
    "AleState",
    "WordReader",
    "check_against",
    "is_frame_finished",
    "parse_ale_state",
    "read_machine",
    "read_system_of_old",
]

TRUE = 0xFAB1FAB2
FALSE = 0xBAD1BAD2
_GENERATOR_WORDS = 624
_MAX_SETTINGS = 64
_WORD = struct.Struct("<I")
_HEADER = struct.Struct("<6I")

_ANY = (0, 0xFFFFFFFF)
_BYTE = (0, 0xFF)
_FLAG = (FALSE, TRUE)
_POSITION = (0, 159)

_Range = tuple[int, int]
_PROCESSOR: tuple[_Range, ...] = (*[_BYTE] * 5, (0, 0xFFFF), *[_FLAG] * 7, _BYTE)
_RAM_AND_TIMER: tuple[_Range, ...] = (
    (128, 128),
    *[_BYTE] * 128,
    _ANY,
    (0, 31),
    *[_ANY] * 2,
    _FLAG,
    *[_BYTE] * 2,
)
_PICTURE: tuple[_Range, ...] = (
    *[_ANY] * 8,
    *[_BYTE] * 5,
    *[_ANY] * 4,
    *[_BYTE] * 2,
    *[_FLAG] * 2,
    _ANY,
    *[_BYTE] * 4,
    *[_FLAG] * 4,
    *[(0, 15)] * 5,
    *[_FLAG] * 5,
    (0, 0xFFFF),
    *[_POSITION] * 5,
    *[_BYTE] * 2,
    _ANY,
    *[_FLAG] * 2,
    _ANY,
    _FLAG,
    _ANY,
)
_PICTURE_START = _WORD.pack(3) + b"TIA"
_SOUND_START = _WORD.pack(8) + b"TIASound"
_LINES_OF_LAST_FRAME = 5
_SOUND: tuple[_Range, ...] = (*[_BYTE] * 6, _ANY)


def _counted(count: int, limits: _Range) -> tuple[_Range, ...]:
    return ((count, count), *[limits] * count)


_CARTRIDGES: dict[bytes, tuple[_Range, ...]] = {
    b"Cartridge2K": (),
    b"Cartridge4K": (),
    b"CartridgeCV": _counted(1024, _BYTE),
    b"CartridgeE0": _counted(4, (0, 7)),
    b"CartridgeE7": (*_counted(2, (0, 7)), (0, 3), *_counted(2048, _BYTE)),
    b"CartridgeF4": ((0, 7),),
    b"CartridgeF4SC": ((0, 7), *_counted(128, _BYTE)),
    b"CartridgeF6": ((0, 3),),
    b"CartridgeF6SC": ((0, 3), *_counted(128, _BYTE)),
    b"CartridgeF8": ((0, 1),),
    b"CartridgeF8SC": ((0, 1), *_counted(128, _BYTE)),
    b"CartridgeFASC": ((0, 2), *_counted(256, _BYTE)),
    b"CartridgeFE": (),
    b"CartridgeUA": ((0, 1),),
    b"CartridgeDPC": (
        (0, 1),
        *_counted(8, _BYTE),
        *_counted(8, _BYTE),
        *_counted(8, (0, 0x7FF)),
        *_counted(8, _BYTE),
        *_counted(3, _FLAG),
        _BYTE,
        *[_ANY] * 2,
    ),
}


@dataclass(frozen=True)
class AleState:
    """A serialised ALE state, taken apart.

    Attributes:
        paddles: Positions of the left and right paddle.
        frames: Frames since the environment was made, and since the episode began.
        mode: The game's mode and difficulty.
        md5: The ROM's md5 as 32 hexadecimal digits.
        cycles: The system's cycles.
        system_generator: State of the generator that scrambles the machine at start, as text.
        machine: The blocks of the chips and the cartridge, as they stand in the state.
        settings: The game's own settings, as they stand in the state.
        sticky_generator: State of the generator of sticky actions as text, or None without it.
        paddle_limits: Lowest and highest position of a paddle.
    """

    paddles: tuple[int, int]
    frames: tuple[int, int]
    mode: tuple[int, int]
    md5: bytes
    cycles: int
    system_generator: bytes
    machine: bytes
    settings: tuple[int, ...]
    sticky_generator: bytes | None
    paddle_limits: tuple[int, int]

    def serialise(self) -> bytes:
        """The bytes that `ale_py.ALEState` is built from."""
        parts = [
            _text(self.md5),
            _text(b"System"),
            _WORD.pack(self.cycles),
            _text(self.system_generator),
            self.machine,
            struct.pack(f"<{len(self.settings)}I", *self.settings),
            _WORD.pack(FALSE if self.sticky_generator is None else TRUE),
        ]
        if self.sticky_generator is not None:
            parts.append(_text(self.sticky_generator))
        header = _HEADER.pack(*self.paddles, *self.frames, *self.mode)
        return header + _text(b"".join(parts)) + struct.pack("<2I", *self.paddle_limits)

    def in_layout_of(self, other: AleState) -> AleState:
        """This state as the emulator that `other` came from writes it.

        ale-py wrote no flag for half drawn frames up to 0.12.1; a finished frame's is false.
        """
        surplus = len(self.machine) - len(other.machine)
        if abs(surplus) != 4:
            return self
        at = self.machine.index(_SOUND_START)
        if surplus < 0:
            machine = self.machine[:at] + _WORD.pack(FALSE) + self.machine[at:]
        else:
            machine = self.machine[: at - 4] + self.machine[at:]
        return replace(self, machine=machine)

    def grafted_onto(self, template: AleState) -> AleState:
        """This state with all that is not the machine's taken from a state of the emulator."""
        return replace(
            template,
            paddles=self.paddles,
            frames=self.frames,
            cycles=self.cycles,
            machine=self.machine,
            settings=self.settings,
            sticky_generator=None,
        )


def parse_ale_state(data: bytes, *, finished: bool = True) -> AleState:
    """Take a serialised state apart, checking every length, name and range.

    Args:
        data: What `ale_py.ALEState.serialize()` returned.
        finished: Whether the state must be of a finished frame, as it must be to be restored.

    Raises:
        SnapshotError: The bytes are no well-formed state, or not of a finished frame.
    """
    reader = WordReader(data)
    header = reader.words(6)
    inner = WordReader(reader.text("the machine", len(data)))
    limits = reader.words(2)
    reader.end("after the paddles' limits")
    md5 = read_md5(inner)
    cycles, generator = _read_system(inner)
    machine = read_machine(inner, finished=finished)
    rest = inner.rest()
    has_sticky = len(rest) > 4 * _MAX_SETTINGS
    if has_sticky:
        settings, sticky = _split_sticky(rest)
    else:
        settings, sticky = _split_words(rest), None
        if not settings or settings[-1] != FALSE:
            raise _malformed("the flag of the sticky actions' generator is not where it should be")
        settings = settings[:-1]
    return AleState(
        (header[0], header[1]),
        (header[2], header[3]),
        (header[4], header[5]),
        md5,
        cycles,
        generator,
        machine,
        settings,
        sticky,
        (limits[0], limits[1]),
    )


def check_against(state: AleState, template: AleState) -> None:
    """Check that a state may be restored in the emulator that a template came from.

    Args:
        state: The state to restore.
        template: A state that the running emulator gave.

    Raises:
        SnapshotError: Another ROM, mode, cartridge or game, or a value that would not be safe.
    """
    for name, got, expected in (
        ("the ROM (md5)", state.md5, template.md5),
        ("the mode and difficulty", state.mode, template.mode),
        ("the paddles' limits", state.paddle_limits, template.paddle_limits),
        ("the cartridge's size", len(state.machine), len(template.machine)),
        ("the number of the game's settings", len(state.settings), len(template.settings)),
        (
            "the presence of the sticky actions' generator",
            state.sticky_generator is None,
            template.sticky_generator is None,
        ),
    ):
        if got != expected:
            raise SnapshotError(
                f"The ALE state differs from this environment in {name}: {got!r}, but {expected!r} "
                "was expected. Use an environment of the same game, ROM and settings."
            )
    low, high = state.paddle_limits
    if not all(low <= position <= high for position in state.paddles):
        raise _malformed("a paddle lies outside its limits")
    if state.frames[1] > state.frames[0] or state.frames[0] > 1 << 30:
        raise _malformed("the frame numbers make no sense")
    flags = (TRUE, FALSE)
    for value, known in zip(state.settings, template.settings, strict=True):
        if (known in flags) != (value in flags):
            raise _malformed("a setting of the game is no flag where one was expected")


class WordReader:
    """Reads words and strings, refusing to go past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def words(self, count: int) -> tuple[int, ...]:
        """The next `count` unsigned 32-bit words."""
        end = self._position + 4 * count
        if end > len(self._data):
            raise _malformed("it ends too early")
        values = struct.unpack_from(f"<{count}I", self._data, self._position)
        self._position = end
        return values

    def text(self, what: str, longest: int) -> bytes:
        """The next string, at most `longest` bytes."""
        (length,) = self.words(1)
        end = self._position + length
        if length > longest or end > len(self._data):
            raise _malformed(f"{what} declares {length} bytes")
        value = self._data[self._position : end]
        self._position = end
        return value

    def expect(self, name: str) -> None:
        """The next string, which must be `name`."""
        found = self.text(f"the name of the block {name}", len(name))
        if found != name.encode():
            raise _malformed(f"the block {name} is called {found!r}")

    def next_word(self) -> int:
        """The next word, which stays there."""
        (value,) = self.words(1)
        self._position -= 4
        return value

    def check(self, name: str, ranges: tuple[_Range, ...]) -> None:
        """The block `name`, each word within its range."""
        self.expect(name)
        self.ranges(name, ranges)

    def ranges(self, name: str, ranges: tuple[_Range, ...]) -> None:
        """The next words, each within its range; a range of flags allows the two flags only."""
        for index, (value, limits) in enumerate(zip(self.words(len(ranges)), ranges, strict=True)):
            low, high = limits
            right = value in _FLAG if limits == _FLAG else low <= value <= high
            if not right:
                raise _malformed(f"field {index} of the block {name} is {value}")

    def words_left(self) -> tuple[int, ...]:
        """All that is left, as words."""
        return _split_words(self.rest())

    @property
    def position(self) -> int:
        """How many bytes were read."""
        return self._position

    def since(self, start: int) -> bytes:
        """The bytes read since a position."""
        return self._data[start : self._position]

    def rest(self) -> bytes:
        """All that is left."""
        return self._data[self._position :]

    def end(self, where: str) -> None:
        """Refuse anything left over."""
        if self._position != len(self._data):
            raise _malformed(f"there are {len(self._data) - self._position} bytes {where}")


def _read_system(reader: WordReader) -> tuple[int, bytes]:
    """Read the system's block: its cycles and its generator's text."""
    reader.expect("System")
    (cycles,) = reader.words(1)
    generator = reader.text("the system's generator", 8192)
    check_generator(generator)
    return cycles, generator


def read_system_of_old(reader: WordReader) -> tuple[bytes, int]:
    """Read the md5 and the system's block as emulators wrote it that had no generator in it."""
    md5 = read_md5(reader)
    reader.expect("System")
    return md5, reader.words(1)[0]


def read_md5(reader: WordReader) -> bytes:
    """Read the md5 of a ROM: 32 hexadecimal digits."""
    md5 = reader.text("the md5", 32)
    if not re.fullmatch(rb"[0-9a-f]{32}", md5):
        raise _malformed("the md5 of the ROM is none")
    return md5


def read_machine(reader: WordReader, *, finished: bool = True) -> bytes:
    """Read the blocks of the chips and the cartridge and return them as they stand."""
    start = reader.position
    reader.check("M6502Low", _PROCESSOR)
    reader.check("M6532", _RAM_AND_TIMER)
    reader.check("TIA", _PICTURE)
    # Newer emulators write here whether the frame is half drawn, older ones nothing.
    if reader.next_word() in _FLAG:
        (half_drawn,) = reader.words(1)
        if finished and half_drawn == TRUE:
            raise _unfinished()
    reader.check("TIASound", _SOUND)
    cartridge = reader.text("the cartridge's name", 32)
    if cartridge not in _CARTRIDGES:
        raise _malformed(f"the cartridge {cartridge!r} is of no kind that can be checked")
    reader.ranges(cartridge.decode(), _CARTRIDGES[cartridge])
    machine = reader.since(start)
    if finished and not is_frame_finished(machine):
        raise _unfinished()
    return machine


def is_frame_finished(state: bytes) -> bool:
    """Whether a state was taken between two frames, as far as the state itself tells.

    A frame that the game has not ended is still being drawn. Where the drawing stands is not part
    of a state (up to ale-py 0.12.1 not even that it does), so only finished frames restore
    exactly, and restoring into an unfinished one can draw past the screen's end.

    Args:
        state: A serialised state, or the blocks of the machine in one.
    """
    at = state.find(_PICTURE_START) + len(_PICTURE_START) + 4 * _LINES_OF_LAST_FRAME
    if at + 8 > len(state):
        return False
    last, current = struct.unpack_from("<2I", state, at)
    return bool(last == current)


_checked_generators: dict[bytes, None] = {}


def check_generator(text: bytes) -> None:
    """Check the text of a Mersenne Twister: 624 words and a position."""
    if text in _checked_generators:
        return
    words = text.split(b" ")
    if len(words) != _GENERATOR_WORDS + 1 or not all(
        word.isdigit() and len(word) <= 10 and int(word) <= 0xFFFFFFFF for word in words
    ):
        raise _malformed("a generator's text is not 625 numbers")
    if int(words[-1]) > _GENERATOR_WORDS:
        raise _malformed("a generator's position is out of range")
    if len(_checked_generators) > 16:
        _checked_generators.clear()
    _checked_generators[text] = None


def _split_sticky(rest: bytes) -> tuple[tuple[int, ...], bytes]:
    for count in range(_MAX_SETTINGS + 1):
        at = 4 * count
        if len(rest) < at + 8:
            break
        flag, length = struct.unpack_from("<2I", rest, at)
        if flag == TRUE and length == len(rest) - at - 8:
            text = rest[at + 8 :]
            check_generator(text)
            return _split_words(rest[:at]), text
    raise _malformed("the sticky actions' generator is not where it should be")


def _split_words(data: bytes) -> tuple[int, ...]:
    if len(data) % 4:
        raise _malformed("the game's settings are not whole words")
    return struct.unpack(f"<{len(data) // 4}I", data)


def _text(value: bytes) -> bytes:
    return _WORD.pack(len(value)) + value


def _unfinished() -> SnapshotError:
    return SnapshotError(
        "The ALE state was taken while a frame was half drawn, which the emulator cannot restore "
        "exactly. Use a state of a step later."
    )


def _malformed(what: str) -> SnapshotError:
    return SnapshotError(
        f"The ALE state is malformed: {what}. It was not restored, since a malformed state can "
        "crash the emulator; use an undamaged file."
    )
