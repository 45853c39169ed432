"""Snapshots of Atari games in the Arcade Learning Environment.

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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import gymnasium as gym
import numpy as np

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots.ale_layout import (
    FALSE,
    SOUND_START,
    TRUE,
    WordReader,
    check_generator,
    is_frame_finished,
    malformed,
    read_machine,
    read_md5,
    read_system,
    split_words,
)
from hxwrappers.snapshots.base import NEUTRAL_LAYERS, LayeredSnapshotter, Snapshot, layer_name
from hxwrappers.snapshots.capture import GeneratorState, apply, capture

if TYPE_CHECKING:
    from ale_py.env import AtariEnv

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

    def with_layout_of(self, other: AleState) -> AleState:
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

    def adapted_to(self, template: AleState) -> AleState:
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


_FRAMES_TO_FINISH = 32


class AleSnapshotter(LayeredSnapshotter):
    """Freezes `ale_py.env.AtariEnv` and the wrappers around it.

    Three things that the emulator's own state leaves out are taken care of. The generator of
    sticky actions is part of the snapshot where there are sticky actions. The action that would
    stick is not readable, so `exact_now()` is false at the steps (a share of the repeat
    probability) at which the next frame would use it. And a frame that the game has not finished
    cannot be restored (Q*bert and Tetris right after a reset), so `exact_now()` is false then too.

    The screen shows the frame before the restore until the next step; RAM is right at once.

    Args:
        env: An environment around an `AtariEnv`.
    """

    family: ClassVar[str] = "ale"

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._base = cast("AtariEnv", env.unwrapped)
        self._stickiness = float(self._base.ale.getFloat("repeat_action_probability"))

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Whether the innermost environment is an `AtariEnv`."""
        return any(
            kind.__module__ == "ale_py.env" and kind.__name__ == "AtariEnv"
            for kind in type(env.unwrapped).__mro__
        )

    @contextmanager
    def hidden_from_env(self) -> Iterator[None]:
        """A context whose steps show the RAM, a quarter cheaper than the screen in colours.

        Only where no wrapper makes something of the observations.
        """
        # The checker looks at the first observation after it was made, and must know it again.
        neutral = all(
            layer_name(layer) in NEUTRAL_LAYERS and getattr(layer, "checked_step", True)
            for layer in self._layers
        )
        shown = self._base._obs_type
        if neutral and type(self._base).__module__ == "ale_py.env":
            self._base._obs_type = "ram"
        try:
            yield
        finally:
            self._base._obs_type = shown

    def exact_now(self) -> bool:
        """Whether the frame is finished and the next one does not repeat an unreadable action."""
        state = self._serialised()
        if not is_frame_finished(state):
            return False
        return not self._stickiness or self._is_after_reset() or self._next_action_is_taken(state)

    def describe(self) -> dict[str, Any]:
        """Game, ROM, action set, frame skip, stickiness, mode and difficulty."""
        state = parse_ale_state(self._serialised(), finished=False)
        skip = self._base._frameskip
        return {
            "game": self._base._game,
            "rom_md5": state.md5.decode("latin1"),
            "actions": list(self._base.get_action_meanings()),
            "frame_skip": skip if isinstance(skip, int) else list(skip),
            "repeat_action_probability": round(self._stickiness, 6),
            "mode": state.mode[0],
            "difficulty": state.mode[1],
        }

    def freeze_base(self) -> dict[str, Any]:
        """The emulator's state and the environment's own generator."""
        return {
            "state": self._serialised(),
            "after_reset": bool(self._stickiness) and self._is_after_reset(),
            "np_random": capture(self._base._np_random),
        }

    def thaw_base(self, base: Any) -> None:
        """Restore the emulator and the environment's own generator."""
        import ale_py  # noqa: PLC0415 - optional; it is there, since the environment is

        if base["after_reset"]:
            # Only a reset makes the action that would stick a known one: no action.
            self._base.ale.reset_game()
        self._finish_frame()
        self._base.restore_state(ale_py.ALEState(base["state"]))
        if base["np_random"] is not None:
            self._base._np_random = apply(self._base._np_random, base["np_random"], "np_random")

    def fingerprint(self, snapshot: Snapshot) -> bytes | None:
        """Bytes that are equal for equal states."""
        if isinstance(self._base._frameskip, int):
            # Nothing draws from the environment's generator then but wrappers at a reset.
            snapshot = replace(snapshot, base={**snapshot.base, "np_random": None})
        return super().fingerprint(snapshot)

    def check_base(self, base: Any) -> Any:
        """Check every field of a state from a file against the running emulator."""
        match base:
            case {
                "state": bytes(state),
                "after_reset": bool(),
                "np_random": None | GeneratorState(),
            } if len(base) == 3:
                template = parse_ale_state(self._serialised(), finished=False)
                fitting = parse_ale_state(state).with_layout_of(template)
                check_against(fitting, template)
                return {**base, "state": fitting.serialise()}
            case _:
                raise SnapshotError("The snapshot does not have the form of an ALE snapshot.")

    def _serialised(self) -> bytes:
        state = self._base.clone_state(include_rng=bool(self._stickiness))
        return state.serialize()

    def _is_after_reset(self) -> bool:
        return int(self._base.ale.getEpisodeFrameNumber()) == 0

    def _finish_frame(self) -> None:
        """Bring the emulator to a place from which any finished state can be restored."""
        import ale_py  # noqa: PLC0415 - optional; it is there, since the environment is

        for frame in range(2 * _FRAMES_TO_FINISH):
            if is_frame_finished(self._serialised()):
                return
            if frame == _FRAMES_TO_FINISH:
                self._base.ale.reset_game()
            self._base.ale.act(ale_py.Action.NOOP)
        raise SnapshotError(
            f"{self._base._game} does not finish its frames, so no state can be restored in it."
        )

    def _next_action_is_taken(self, state: bytes) -> bool:
        text = parse_ale_state(state).sticky_generator
        if text is None:
            return False
        words = np.array(text.split(), dtype=np.uint64)
        generator = np.random.MT19937()
        generator.state = {
            "bit_generator": "MT19937",
            "state": {"key": words[:-1].astype(np.uint32), "pos": int(words[-1])},
        }
        return bool(generator.random_raw() / 2**32 >= self._stickiness)
