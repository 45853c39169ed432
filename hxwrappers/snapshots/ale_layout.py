"""The blocks of a serialised ALE state, read with every length, name and value checked.

The emulator trusts what it restores: a wrong length or an index out of range reads or writes
outside its tables and takes the process down. So every field of a state that comes from a file is
checked here first.

All is little endian; a string is a `uint32` length and its bytes.
"""

from __future__ import annotations

import re
import struct

from hxwrappers.errors import SnapshotError

TRUE = 0xFAB1FAB2
FALSE = 0xBAD1BAD2
_GENERATOR_WORDS = 624
_WORD = struct.Struct("<I")

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
SOUND_START = _WORD.pack(8) + b"TIASound"
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


class WordReader:
    """Reads words and strings, refusing to go past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def words(self, count: int) -> tuple[int, ...]:
        """The next `count` unsigned 32-bit words."""
        end = self._position + 4 * count
        if end > len(self._data):
            raise malformed("it ends too early")
        values = struct.unpack_from(f"<{count}I", self._data, self._position)
        self._position = end
        return values

    def text(self, what: str, longest: int) -> bytes:
        """The next string, at most `longest` bytes."""
        (length,) = self.words(1)
        end = self._position + length
        if length > longest or end > len(self._data):
            raise malformed(f"{what} declares {length} bytes")
        value = self._data[self._position : end]
        self._position = end
        return value

    def expect(self, name: str) -> None:
        """The next string, which must be `name`."""
        found = self.text(f"the name of the block {name}", len(name))
        if found != name.encode():
            raise malformed(f"the block {name} is called {found!r}")

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
                raise malformed(f"field {index} of the block {name} is {value}")

    def words_left(self) -> tuple[int, ...]:
        """All that is left, as words."""
        return split_words(self.rest())

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
            raise malformed(f"there are {len(self._data) - self._position} bytes {where}")


def read_system(reader: WordReader) -> tuple[int, bytes]:
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
        raise malformed("the md5 of the ROM is none")
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
        raise malformed(f"the cartridge {cartridge!r} is of no kind that can be checked")
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
        raise malformed("a generator's text is not 625 numbers")
    if int(words[-1]) > _GENERATOR_WORDS:
        raise malformed("a generator's position is out of range")
    if len(_checked_generators) > 16:
        _checked_generators.clear()
    _checked_generators[text] = None


def split_words(data: bytes) -> tuple[int, ...]:
    """The game's settings as words."""
    if len(data) % 4:
        raise malformed("the game's settings are not whole words")
    return struct.unpack(f"<{len(data) // 4}I", data)


def _unfinished() -> SnapshotError:
    return SnapshotError(
        "The ALE state was taken while a frame was half drawn, which the emulator cannot restore "
        "exactly. Use a state of a step later."
    )


def malformed(what: str) -> SnapshotError:
    """The error for a state that is not as it must be."""
    return SnapshotError(
        f"The ALE state is malformed: {what}. It was not restored, since a malformed state can "
        "crash the emulator; use an undamaged file."
    )
