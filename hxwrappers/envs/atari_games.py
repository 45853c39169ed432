"""Atari games that one process plays, and the memory that they are shown in."""

from __future__ import annotations

import ctypes
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hxwrappers._utils.processes import WorkerProcess, serve

RAM_BYTES = 128
_SCREEN = (210, 160)


@dataclass(frozen=True)
class GameSettings:
    """How an Atari game is played and shown.

    Attributes:
        screen_size: Height and width of a frame in pixels.
        frame_skip: Emulator frames a step; the last two are joined by their maximum.
        frame_stack: Frames an observation, the newest last; black ones fill up after a reset.
        sticky_actions: The probability that an action is repeated, 0 for never.
        noop_max: At most so many idle frames begin an episode, their number, from 1, drawn at
            random.
        max_frames: An episode is truncated after so many emulator frames.
        terminal_on_life_loss: Whether losing a life ends the episode; the game begins anew.
        full_action_space: All 18 actions, or those that the game knows.
    """

    screen_size: int = 84
    frame_skip: int = 4
    frame_stack: int = 4
    sticky_actions: float = 0.0
    noop_max: int = 0
    max_frames: int = 108_000
    terminal_on_life_loss: bool = False
    full_action_space: bool = False


@dataclass(frozen=True)
class AtariSnapshot:
    """A frozen game.

    Attributes:
        state: The emulator's state, an `ale_py.ALEState`; it can be pickled.
        observation: What was observed, uint8, shape `(frame_stack, size, size)`.
    """

    state: Any
    observation: np.ndarray


class _Game:
    """One emulator, which writes what is observed into a row of a shared array."""

    def __init__(
        self,
        rom: str,
        settings: GameSettings,
        stack: np.ndarray,
        ram: np.ndarray,
        lives: np.ndarray,
    ) -> None:
        import ale_py  # noqa: PLC0415 - an optional extra
        import cv2  # noqa: PLC0415 - an optional extra

        self._rom, self._settings = rom, settings
        self._stack = stack
        self._ram = ram
        self._shown_lives = lives
        self._resize = cv2.resize
        self._area = cv2.INTER_AREA
        self._size = (settings.screen_size, settings.screen_size)
        self._older = np.zeros(_SCREEN, np.uint8)
        self._newer = np.zeros(_SCREEN, np.uint8)
        self._noop = ale_py.Action.NOOP
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.ale = ale_py.ALEInterface()
        self._generator: np.random.Generator | None = None

    def _seed(self, seed: int) -> None:
        """Load the game with a seed for its sticky actions and idle frames."""
        # An emulator takes a seed only with a ROM, whose loading takes as long as 200 steps.
        ale, settings = self.ale, self._settings
        ale.setInt("random_seed", seed)
        ale.setFloat("repeat_action_probability", settings.sticky_actions)
        ale.loadROM(self._rom)
        full = settings.full_action_space
        self._actions = ale.getLegalActionSet() if full else ale.getMinimalActionSet()
        self._generator = np.random.default_rng(seed)

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode; the first one without a seed is seeded by chance."""
        ale = self.ale
        if seed is None and self._generator is None:
            seed = int(np.random.default_rng().integers(2**31))
        if seed is not None:
            self._seed(seed % 2**31)
        ale.reset_game()
        self._frames = 0
        if self._settings.noop_max and self._generator is not None:
            self._frames = int(self._generator.integers(1, self._settings.noop_max + 1))
            for _ in range(self._frames):
                ale.act(self._noop)
        self._stack[:] = 0
        ale.getScreenGrayscale(self._newer)
        self._show()
        self._lives = ale.lives()

    def step(self, action: int) -> tuple[float, bool, bool]:
        """Play one action; returns the reward, and whether the episode terminated or is cut."""
        ale, settings = self.ale, self._settings
        chosen = self._actions[action]
        reward, last, over = 0.0, settings.frame_skip - 1, False
        for frame in range(settings.frame_skip):
            reward += ale.act(chosen)
            self._frames += 1
            if over := self._is_over():
                # The last frame as it is: the one before it belongs to the life that is over.
                ale.getScreenGrayscale(self._newer)
                break
            if frame == last - 1:
                ale.getScreenGrayscale(self._older)
            elif frame == last:
                ale.getScreenGrayscale(self._newer)
                if last:
                    np.maximum(self._older, self._newer, out=self._newer)
        self._stack[:-1] = self._stack[1:]
        self._show()
        return reward, over, self._frames >= settings.max_frames and not over

    def snapshot(self) -> AtariSnapshot:
        """Freeze the game."""
        return AtariSnapshot(self.ale.cloneState(), self._stack.copy())

    def restore(self, snapshot: AtariSnapshot) -> None:
        """Begin an episode in a frozen state."""
        self.ale.restoreState(snapshot.state)
        self._stack[:] = snapshot.observation
        self._frames = 0
        self._lives = self._tell()

    def _is_over(self) -> bool:
        if not self._settings.terminal_on_life_loss:
            return bool(self.ale.game_over())
        before, self._lives = self._lives, self.ale.lives()
        return bool(self._lives < before or self.ale.game_over())

    def _show(self) -> None:
        self._stack[-1] = self._resize(self._newer, self._size, interpolation=self._area)
        self._tell()

    def _tell(self) -> int:
        """Write what the emulator knows beside its screen; returns the lives."""
        self._ram[:] = self.ale.getRAM()
        lives = self._shown_lives[...] = self.ale.lives()
        return int(lives)


class SharedGames:
    """The arrays that a worker and the environment share; one row for each game."""

    def __init__(self, number: int, shape: tuple[int, ...]) -> None:
        # `spawn` hands such arrays over to the process that is made, on every platform.
        context = multiprocessing.get_context("spawn")
        self._shape = (number, *shape)
        self._raw = [
            context.RawArray(ctypes.c_uint8, number * size)
            for size in (int(np.prod(shape)), RAM_BYTES, 4, 1, 1, 4, 4)
        ]

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        number = self._shape[0]
        parts: list[Any] = list(self._raw)
        stacks, ram, rewards, terminated, truncated, actions, lives = parts
        return {
            "stacks": np.frombuffer(stacks, np.uint8).reshape(self._shape),
            "ram": np.frombuffer(ram, np.uint8).reshape(number, RAM_BYTES),
            "rewards": np.frombuffer(rewards, np.float32),
            "terminated": np.frombuffer(terminated, np.bool_),
            "truncated": np.frombuffer(truncated, np.bool_),
            "actions": np.frombuffer(actions, np.int32),
            "lives": np.frombuffer(lives, np.int32),
        }


class _Games:
    """Some of the games, which one process plays."""

    def __init__(self, rom: str, settings: GameSettings, block: SharedGames) -> None:
        self._arrays = block.arrays()
        lives = self._arrays["lives"]
        rows = zip(self._arrays["stacks"], self._arrays["ram"], range(len(lives)), strict=True)
        self._games = [
            _Game(rom, settings, stack, ram, lives[at : at + 1]) for stack, ram, at in rows
        ]

    def step(self) -> None:
        """Play the actions in the block."""
        arrays = self._arrays
        for index, game in enumerate(self._games):
            (
                arrays["rewards"][index],
                arrays["terminated"][index],
                arrays["truncated"][index],
            ) = game.step(arrays["actions"][index])

    def reset(self, indices: Sequence[int], seeds: Sequence[int | None]) -> None:
        """Begin episodes, with seeds where they are given."""
        for index, seed in zip(indices, seeds, strict=True):
            self._games[index].reset(seed)

    def snapshot(self, indices: Sequence[int]) -> list[AtariSnapshot]:
        """Freeze games."""
        return [self._games[index].snapshot() for index in indices]

    def restore(self, indices: Sequence[int], snapshots: Sequence[AtariSnapshot]) -> None:
        """Begin episodes in frozen states."""
        for index, snapshot in zip(indices, snapshots, strict=True):
            self._games[index].restore(snapshot)


class GameWorker:
    """The games of one process, or of this one."""

    def __init__(
        self, rom: str, settings: GameSettings, block: SharedGames, *, own_process: bool
    ) -> None:
        self._games = None if own_process else _Games(rom, settings, block)
        self._answer: Any = None
        if own_process:
            self._worker = WorkerProcess(
                "A process that plays Atari games", serve, _Games, rom, settings, block
            )

    def tell(self, name: str, *arguments: Any) -> None:
        """Begin a call; `answer` waits for its end."""
        if self._games is not None:
            self._answer = getattr(self._games, name)(*arguments)
        else:
            self._worker.call(name, *arguments)

    def answer(self) -> Any:
        """The result of the call that was begun.

        Raises:
            WorkerError: The process has died.
        """
        return self._worker.answer() if self._games is None else self._answer

    def drop_answers(self) -> None:
        """Wait for calls that nobody waits for any more, as after an interrupt."""
        if self._games is None:
            self._worker.drop_answers()

    def close(self) -> None:
        """End the process."""
        if self._games is None:
            self._worker.end()


def load_game(rom: str) -> Any:
    """An emulator with the game, to be asked about it."""
    import ale_py  # noqa: PLC0415 - an optional extra

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.loadROM(rom)
    return ale
