"""A vector of Atari games that can be frozen, restored and looked into, in processes of its own."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from hxwrappers.errors import InvalidArgumentError, WorkerError

__all__ = ["AtariSnapshot", "GameSettings", "RestorableAtariVectorEnv"]

RAM_BYTES = 128
_SCREEN = (210, 160)


@dataclass(frozen=True)
class GameSettings:
    """How the games of a `RestorableAtariVectorEnv` are played.

    Attributes:
        rom: Path of the game's ROM.
        screen_size: Height and width of a frame in pixels.
        frame_skip: Emulator frames a step; a frame shows the maximum of the last two.
        frame_stack: Frames an observation, the newest last; black ones fill up after a reset.
        sticky_actions: The probability, for each emulator frame, that the last action is repeated.
        noop_max: At most so many idle frames begin an episode; their number, from 1, is drawn.
        max_frames: An episode is truncated after so many emulator frames.
        terminal_on_life_loss: Whether losing a life ends the episode; the game begins anew.
        full_action_space: All 18 actions, or those that the game knows.
    """

    rom: str
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

    def __init__(self, settings: GameSettings, stack: np.ndarray, ram: np.ndarray) -> None:
        import ale_py  # noqa: PLC0415 - an optional extra
        import cv2  # noqa: PLC0415 - an optional extra

        self._settings = settings
        self._stack = stack
        self._ram = ram
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
        ale.loadROM(settings.rom)
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
        self._ram[:] = self.ale.getRAM()
        self._frames = 0
        self._lives = self.ale.lives()

    def _is_over(self) -> bool:
        if not self._settings.terminal_on_life_loss:
            return bool(self.ale.game_over())
        before, self._lives = self._lives, self.ale.lives()
        return bool(self._lives < before or self.ale.game_over())

    def _show(self) -> None:
        self._stack[-1] = self._resize(self._newer, self._size, interpolation=self._area)
        self._ram[:] = self.ale.getRAM()


class _Block:
    """The arrays that a worker and the environment share; one row for each game."""

    def __init__(self, number: int, shape: tuple[int, ...]) -> None:
        # `spawn` hands such arrays over to the process that is made, on every platform.
        context = multiprocessing.get_context("spawn")
        self._shape = (number, *shape)
        self._raw = [
            context.RawArray(ctypes.c_uint8, number * size)
            for size in (int(np.prod(shape)), RAM_BYTES, 4, 1, 1, 4)
        ]

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        number = self._shape[0]
        stacks, ram, rewards, terminated, truncated, actions = self._raw
        return {
            "stacks": np.frombuffer(stacks, np.uint8).reshape(self._shape),
            "ram": np.frombuffer(ram, np.uint8).reshape(number, RAM_BYTES),
            "rewards": np.frombuffer(rewards, np.float32),
            "terminated": np.frombuffer(terminated, np.bool_),
            "truncated": np.frombuffer(truncated, np.bool_),
            "actions": np.frombuffer(actions, np.int32),
        }


class _Games:
    """Some of the games, which one process plays."""

    def __init__(self, settings: GameSettings, block: _Block) -> None:
        self._arrays = block.arrays()
        rows = zip(self._arrays["stacks"], self._arrays["ram"], strict=True)
        self._games = [_Game(settings, stack, ram) for stack, ram in rows]

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


def _work(settings: GameSettings, block: _Block, connection: Connection) -> None:
    """A worker process: does what it is told until the other end is closed."""
    try:
        games = _Games(settings, block)
        while True:
            name, arguments = connection.recv()
            connection.send((True, getattr(games, name)(*arguments)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
    except Exception:
        connection.send((False, traceback.format_exc()))


class _Worker:
    """The games of one process, or of this one."""

    def __init__(self, settings: GameSettings, block: _Block, *, own_process: bool) -> None:
        self._games = None if own_process else _Games(settings, block)
        self._answer: Any = None
        if own_process:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_work, args=(settings, block, theirs), daemon=True
            )
            self._process.start()
            theirs.close()

    def tell(self, name: str, *arguments: Any) -> None:
        """Begin a call; `answer` waits for its end."""
        if self._games is not None:
            self._answer = getattr(self._games, name)(*arguments)
            return
        try:
            self._connection.send((name, arguments))
        except (BrokenPipeError, OSError) as error:
            raise self._dead() from error

    def answer(self) -> Any:
        """The result of the call that was begun."""
        if self._games is not None:
            return self._answer
        try:
            good, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._dead() from error
        if not good:
            raise WorkerError(f"A process that plays Atari games failed:\n{value}")
        return value

    def close(self) -> None:
        """End the process."""
        if self._games is None:
            self._connection.close()
            self._process.join(timeout=10)
            if self._process.is_alive():
                self._process.kill()

    def _dead(self) -> WorkerError:
        return WorkerError(
            f"A process that plays Atari games has died (exit code {self._process.exitcode}). "
            "Make the environment anew; what was learned is in the last checkpoint."
        )


class RestorableAtariVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Atari games side by side that can be frozen and restored, and tell their RAM.

    As fast as `ale_py.AtariVectorEnv`, which can do neither: a few processes play the games and
    write frames into memory that all share. What a game does depends on its seed alone and not
    on the number of processes. Episodes begin anew in the step in which they end
    (`AutoresetMode.SAME_STEP`).

    Infos hold `lives`; `room` where `room_byte` is given; and at an episode's end `episode` with
    its score `r` and its length `l` in steps, and `final_obs`.

    Args:
        settings: How the games are played.
        num_envs: Number of games.
        num_workers: Processes that play them; 0 plays them in this one, None takes one for each
            core.
        room_byte: Byte of the RAM that holds the number of the room, 0 to 127, or None.

    Raises:
        InvalidArgumentError: A number is out of range.
        WorkerError: A process has died; raised by the call that notices it.

    Example:
        >>> from ale_py import roms
        >>> settings = GameSettings(str(roms.get_rom_path("breakout")))
        >>> envs = RestorableAtariVectorEnv(settings, num_envs=2, num_workers=0)
        >>> observations, _ = envs.reset(seed=0)
        >>> observations.shape
        (2, 4, 84, 84)
        >>> (frozen,) = envs.snapshot([0])
        >>> first = envs.step(np.array([1, 1]))[0][0]
        >>> _ = envs.restore([0], [frozen])
        >>> bool((envs.step(np.array([1, 1]))[0][0] == first).all())
        True
    """

    def __init__(
        self,
        settings: GameSettings,
        num_envs: int,
        num_workers: int | None = None,
        room_byte: int | None = None,
    ) -> None:
        workers = os.cpu_count() or 1 if num_workers is None else num_workers
        if num_envs < 1 or workers < 0:
            raise InvalidArgumentError(
                f"num_envs is {num_envs} and num_workers {workers}; they must be at least 1 and 0."
            )
        if room_byte is not None and not 0 <= room_byte < RAM_BYTES:
            raise InvalidArgumentError(
                f"room_byte is {room_byte}, but the RAM of an Atari has the bytes 0 to 127."
            )
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = num_envs
        shape = (settings.frame_stack, settings.screen_size, settings.screen_size)
        self.single_observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.single_action_space = spaces.Discrete(_number_of_actions(settings))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._room_byte = room_byte
        parts = max(1, min(workers, num_envs))
        bounds = [num_envs * part // parts for part in range(parts + 1)]
        self._slices = [slice(*pair) for pair in pairwise(bounds)]
        blocks = [_Block(part.stop - part.start, shape) for part in self._slices]
        self._blocks = [block.arrays() for block in blocks]
        self._workers = [_Worker(settings, block, own_process=workers > 0) for block in blocks]
        self._scores = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - of Gymnasium's interface
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode of each game; game `i` of an integer seed is seeded by `seed + i`."""
        if isinstance(seed, list):
            seeds = seed
        else:
            seeds = [None if seed is None else seed + index for index in range(self.num_envs)]
        self._reset(range(self.num_envs), seeds)
        return self._observations(), self._infos()

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action of each game, and begin anew those whose episode ends."""
        chosen = np.asarray(actions, np.int32)
        for block, part, worker in zip(self._blocks, self._slices, self._workers, strict=True):
            block["actions"][:] = chosen[part]
            worker.tell("step")
        for worker in self._workers:
            worker.answer()
        observations = self._observations()
        rewards, terminated, truncated = (
            self._whole(name) for name in ("rewards", "terminated", "truncated")
        )
        self._scores += rewards
        self._lengths += 1
        infos = self._infos()
        over = terminated | truncated
        if over.any():
            indices = np.flatnonzero(over)
            finals = np.full(self.num_envs, None, dtype=object)
            for index in indices:
                finals[index] = observations[index].copy()
            infos |= {"final_obs": finals, "_final_obs": over}
            infos["episode"] = {
                "r": np.where(over, self._scores, 0.0),
                "l": np.where(over, self._lengths, 0),
                "_r": over,
                "_l": over,
            }
            infos["_episode"] = over
            self._reset(indices, [None] * len(indices))
            self._show(observations, indices)
        return observations, rewards, terminated, truncated, infos

    def snapshot(self, indices: Sequence[int]) -> list[AtariSnapshot]:
        """Freeze games, as they are before their next step."""
        return self._each("snapshot", indices)

    def restore(self, indices: Sequence[int], snapshots: Sequence[AtariSnapshot]) -> np.ndarray:
        """Begin episodes in frozen states; returns the observations there.

        The limit of an episode's length, its score and its length count from there. Sticky actions
        and idle frames go on with the game's own generator.
        """
        self._each("restore", indices, snapshots)
        chosen = np.asarray(indices)
        self._scores[chosen] = 0.0
        self._lengths[chosen] = 0
        observations = np.empty((self.num_envs, *self.single_observation_space.shape), np.uint8)
        self._show(observations, chosen)
        return observations[chosen]

    def ram(self) -> np.ndarray:
        """The RAM of all games, uint8, shape `(num_envs, 128)`."""
        return self._whole("ram")

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002 - of Gymnasium's interface
        """End the processes."""
        for worker in self._workers:
            worker.close()

    def _reset(self, indices: Sequence[int] | np.ndarray, seeds: Sequence[int | None]) -> None:
        self._each("reset", indices, seeds)
        chosen = np.asarray(indices)
        self._scores[chosen] = 0.0
        self._lengths[chosen] = 0

    def _each(
        self, name: str, indices: Sequence[int] | np.ndarray, values: Sequence[Any] | None = None
    ) -> list[Any]:
        """Call the workers' function for some games, all workers at once; results in order."""
        chosen = np.asarray(indices, np.int64)
        owners = np.searchsorted([part.stop for part in self._slices], chosen, side="right")
        called = []
        for number, (worker, part) in enumerate(zip(self._workers, self._slices, strict=True)):
            places = np.flatnonzero(owners == number)
            if len(places):
                arguments: list[Any] = [[int(chosen[place]) - part.start for place in places]]
                if values is not None:
                    arguments.append([values[place] for place in places])
                worker.tell(name, *arguments)
                called.append((worker, places))
        results: list[Any] = [None] * len(chosen)
        for worker, places in called:
            for place, result in zip(places, worker.answer() or [None] * len(places), strict=True):
                results[place] = result
        return results

    def _whole(self, name: str) -> np.ndarray:
        return np.concatenate([block[name] for block in self._blocks])

    def _observations(self) -> np.ndarray:
        return self._whole("stacks")

    def _show(self, observations: np.ndarray, indices: np.ndarray) -> None:
        for block, part in zip(self._blocks, self._slices, strict=True):
            here = indices[(indices >= part.start) & (indices < part.stop)]
            observations[here] = block["stacks"][here - part.start]

    def _infos(self) -> dict[str, Any]:
        if self._room_byte is None:
            return {}
        return {"room": self._whole("ram")[:, self._room_byte].astype(np.int64)}


def _number_of_actions(settings: GameSettings) -> int:
    import ale_py  # noqa: PLC0415 - an optional extra

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.loadROM(settings.rom)
    full = settings.full_action_space
    return len(ale.getLegalActionSet() if full else ale.getMinimalActionSet())
