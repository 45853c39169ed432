"""A serialised ALE state: taken apart, checked against the running emulator, put together.

Layout (little endian; a string is a `uint32` length and its bytes): the two paddles, the frame
number, the episode's frame number, mode, difficulty (6 x `uint32`), the machine as one string, the
paddles' lower and upper limit. The machine: the ROM's md5 (string), `"System"` (string), cycles,
the system generator as text (string), the blocks of the processor (`M6502Low`), the RAM and timer
(`M6532`), the picture and sound chips (`TIA`, `TIASound`) and the cartridge, each led by its name
as a string, then the game's own settings, a flag, and, where the flag says so, the generator of
sticky actions as text (string).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from hxwrappers.demos.snapshots.ale_layout import (
    FALSE,
    SOUND_START,
    TRUE,
    WordReader,
    check_generator,
    malformed,
    read_machine,
    read_md5,
    read_system,
    split_words,
)
from hxwrappers.errors import SnapshotError

__all__ = ["AleState", "check_against", "parse_ale_state"]

MAX_SETTINGS = 64
_WORD = struct.Struct("<I")
_HEADER = struct.Struct("<6I")


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
        at = self.machine.index(SOUND_START)
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
    cycles, generator = read_system(inner)
    machine = read_machine(inner, finished=finished)
    rest = inner.rest()
    has_sticky = len(rest) > 4 * MAX_SETTINGS
    if has_sticky:
        settings, sticky = _split_sticky(rest)
    else:
        settings, sticky = split_words(rest), None
        if not settings or settings[-1] != FALSE:
            raise malformed("the flag of the sticky actions' generator is not where it should be")
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
        raise malformed("a paddle lies outside its limits")
    if state.frames[1] > state.frames[0] or state.frames[0] > 1 << 30:
        raise malformed("the frame numbers make no sense")
    flags = (TRUE, FALSE)
    for value, known in zip(state.settings, template.settings, strict=True):
        if (known in flags) != (value in flags):
            raise malformed("a setting of the game is no flag where one was expected")


def _split_sticky(rest: bytes) -> tuple[tuple[int, ...], bytes]:
    for count in range(MAX_SETTINGS + 1):
        at = 4 * count
        if len(rest) < at + 8:
            break
        flag, length = struct.unpack_from("<2I", rest, at)
        if flag == TRUE and length == len(rest) - at - 8:
            text = rest[at + 8 :]
            check_generator(text)
            return split_words(rest[:at]), text
    raise malformed("the sticky actions' generator is not where it should be")


def _text(value: bytes) -> bytes:
    return _WORD.pack(len(value)) + value
