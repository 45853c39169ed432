"""A vector of Atari games that can be frozen, restored and looked into."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from hxwrappers._utils.processes import answers
from hxwrappers.bridge.environments import lane_seeds, reset_lanes
from hxwrappers.demos import Demo
from hxwrappers.envs.atari_games import (
    RAM_BYTES,
    AtariSnapshot,
    GameSettings,
    GameWorker,
    SharedGames,
    load_game,
)
from hxwrappers.envs.demo_views import AtariDemoStates
from hxwrappers.errors import CheckpointError, InvalidArgumentError, SnapshotError
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.snapshots.ale import check_against, parse_ale_state

_LARGEST_STATE = 2**20  # bytes; those of games are some thousand


class RestorableAtariVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Atari games side by side that can be frozen and restored, and tell their RAM.

    As fast as `ale_py.AtariVectorEnv`, which can do neither: a few processes play the games and
    write frames into memory that all share. What a game does depends on its seed alone and not
    on the number of processes. Episodes begin anew in the step in which they end
    (`AutoresetMode.SAME_STEP`), or are left to `reset(options={"reset_mask": ...})` and `restore`
    (`AutoresetMode.DISABLED`).

    With `begins_anew = False` episodes that end under SAME_STEP are left to `restore`, for callers
    that begin all of them in frozen states: a reset takes as long as twenty steps.

    Infos hold `lives`; `room` where `room_byte` is given; and at an episode's end `episode` with
    its score `r` and its length `l` in steps, and `final_obs`.

    Args:
        rom: Path of the game's ROM.
        settings: How the game is played; sticky actions are tossed for each emulator frame.
        num_envs: Number of games.
        num_workers: Processes that play them; 0 plays them in this one, None takes one for each
            core.
        room_byte: Byte of the RAM that holds the number of the room, 0 to 127, or None.
        autoreset_mode: SAME_STEP or DISABLED.

    Raises:
        InvalidArgumentError: A number is out of range.
        WorkerError: A process has died; raised by the call that notices it.

    Example:
        >>> from ale_py import roms
        >>> rom = str(roms.get_rom_path("breakout"))
        >>> envs = RestorableAtariVectorEnv(rom, GameSettings(), num_envs=2, num_workers=0)
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
        rom: str,
        settings: GameSettings,
        num_envs: int,
        num_workers: int | None = None,
        room_byte: int | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
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
        if autoreset_mode is AutoresetMode.NEXT_STEP:
            raise InvalidArgumentError(
                "autoreset_mode is NEXT_STEP; these games know SAME_STEP and DISABLED."
            )
        self.metadata = {"render_modes": [], "autoreset_mode": autoreset_mode}
        self._resets_itself = autoreset_mode is AutoresetMode.SAME_STEP
        self.begins_anew = True
        self.num_envs = num_envs
        shape = (settings.frame_stack, settings.screen_size, settings.screen_size)
        self._shape = shape
        self.single_observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        ale = load_game(rom)
        full = settings.full_action_space
        actions = ale.getLegalActionSet() if full else ale.getMinimalActionSet()
        self.single_action_space = spaces.Discrete(len(actions))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rom, self._settings = rom, settings
        self._room_byte = room_byte
        self._begun = False
        parts = max(1, min(workers, num_envs))
        bounds = [num_envs * part // parts for part in range(parts + 1)]
        self._slices = [slice(*pair) for pair in pairwise(bounds)]
        blocks = [SharedGames(part.stop - part.start, shape) for part in self._slices]
        self._blocks = [block.arrays() for block in blocks]
        self._workers = [
            GameWorker(rom, settings, block, own_process=workers > 0) for block in blocks
        ]
        self._scores = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode of each game; game `i` of an integer seed is seeded by `seed + i`.

        `options={"reset_mask": mask}` begins episodes of those games alone.

        Raises:
            InvalidArgumentError: The first reset leaves games out.
        """
        resetting = reset_lanes(self, options)
        if not self._begun and not resetting.all():
            raise InvalidArgumentError(
                "The first reset begins all games; leave reset_mask out of its options."
            )
        seeds = lane_seeds(seed, resetting)
        chosen = np.flatnonzero(resetting)
        self._reset(chosen, [seeds[index] for index in chosen])
        self._begun = True
        return self._observations(), self._infos()

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action of each game, and begin anew those whose episode ends.

        Raises:
            gymnasium.error.ResetNeeded: There was no `reset` yet.
        """
        self._require_reset()
        chosen = np.asarray(actions, np.int32)
        self._drop_answers()
        for block, part, worker in zip(self._blocks, self._slices, self._workers, strict=True):
            block["actions"][:] = chosen[part]
            worker.tell("step")
        answers(self._workers)
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
            if self._resets_itself and self.begins_anew:
                self._reset(indices, [None] * len(indices))
                self._show(observations, indices)
        return observations, rewards, terminated, truncated, infos

    def snapshot(self, indices: Sequence[int]) -> list[AtariSnapshot]:
        """Freeze games, as they are before their next step.

        Raises:
            gymnasium.error.ResetNeeded: There was no `reset` yet.
        """
        self._require_reset()
        return self._map_values("snapshot", indices)

    def restore(self, indices: Sequence[int], snapshots: Sequence[AtariSnapshot]) -> np.ndarray:
        """Begin episodes in frozen states; returns the observations there.

        The limit of an episode's length, its score and its length count from there. Sticky actions
        and idle frames go on with the game's own generator.

        Raises:
            gymnasium.error.ResetNeeded: There was no `reset` yet.
        """
        self._require_reset()
        self._map_values("restore", indices, snapshots)
        chosen = np.asarray(indices, np.int64)
        self._scores[chosen] = 0.0
        self._lengths[chosen] = 0
        observations = np.empty((self.num_envs, *self._shape), np.uint8)
        self._show(observations, chosen)
        shown: np.ndarray = observations[chosen]
        return shown

    @property
    def frame_skip(self) -> int:
        """Emulator frames a step."""
        return self._settings.frame_skip

    def states_along(self, demo: Demo) -> AtariDemoStates:
        """Each step of a demonstration, recorded frame by frame, as a state for `restore`.

        Raises:
            DemoError: The demonstration is of another game or does not replay.
        """
        return AtariDemoStates(demo, self._rom, self._settings)

    def pack(self, snapshots: Sequence[AtariSnapshot]) -> dict[str, Any]:
        """Snapshots as tensors for a checkpoint, compressed."""
        states = [snapshot.state.serialize() for snapshot in snapshots]
        frames = b"".join(snapshot.observation.tobytes() for snapshot in snapshots)
        return {
            "lengths": [len(state) for state in states],
            "states": _compressed(b"".join(states)),
            "frames": _compressed(frames),
        }

    def unpack(self, packed: Mapping[str, Any]) -> list[AtariSnapshot]:
        """What `pack` gave, checked so that restoring it cannot crash the emulator.

        Raises:
            CheckpointError: The tensors are damaged, or of another game.
        """
        import ale_py  # noqa: PLC0415 - an optional extra

        with checkpoint_errors("Frozen Atari games in the state are damaged or of another game"):
            lengths = [int(length) for length in packed["lengths"]]
            if not lengths:
                return []
            if min(lengths) < 0 or max(lengths) > _LARGEST_STATE:
                raise ValueError(f"states of {min(lengths)} to {max(lengths)} bytes")
            shape = (len(lengths), *self._shape)
            states = _decompressed(packed["states"], sum(lengths))
            frames = _decompressed(packed["frames"], int(np.prod(shape)))
            stacks = np.frombuffer(frames, np.uint8).reshape(shape)
            running = load_game(self._rom).cloneState().serialize()
            template = parse_ale_state(running, finished=False)
            snapshots, start = [], 0
            for length, stack in zip(lengths, stacks, strict=True):
                try:
                    state = parse_ale_state(states[start : start + length], finished=False)
                    check_against(state, template)
                except SnapshotError as error:
                    raise CheckpointError(str(error)) from error
                snapshots.append(AtariSnapshot(ale_py.ALEState(state.serialise()), stack))
                start += length
            return snapshots

    def ram(self) -> np.ndarray:
        """The RAM of all games, uint8, shape `(num_envs, 128)`."""
        return self._whole("ram")

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002 - of Gymnasium's interface
        """End the processes."""
        for worker in self._workers:
            worker.close()

    def _require_reset(self) -> None:
        if not self._begun:
            raise gym.error.ResetNeeded("Call reset() first: no game has begun.")

    def _reset(self, indices: Sequence[int] | np.ndarray, seeds: Sequence[int | None]) -> None:
        self._map_values("reset", indices, seeds)
        chosen = np.asarray(indices)
        self._scores[chosen] = 0.0
        self._lengths[chosen] = 0

    def _map_values(
        self, name: str, indices: Sequence[int] | np.ndarray, values: Sequence[Any] | None = None
    ) -> list[Any]:
        """Call the workers' function for some games, all workers at once; results in order."""
        chosen = np.asarray(indices, np.int64)
        owners = np.searchsorted([part.stop for part in self._slices], chosen, side="right")
        self._drop_answers()
        called = {}
        for number, (worker, part) in enumerate(zip(self._workers, self._slices, strict=True)):
            places = np.flatnonzero(owners == number)
            if len(places):
                arguments: list[Any] = [[int(chosen[place]) - part.start for place in places]]
                if values is not None:
                    arguments.append([values[place] for place in places.tolist()])
                worker.tell(name, *arguments)
                called[worker] = places
        results: list[Any] = [None] * len(chosen)
        for places, answer in zip(called.values(), answers(called), strict=True):
            for place, result in zip(places, answer or [None] * len(places), strict=True):
                results[place] = result
        return results

    def _drop_answers(self) -> None:
        for worker in self._workers:
            worker.drop_answers()

    def _whole(self, name: str) -> np.ndarray:
        return np.concatenate([block[name] for block in self._blocks])

    def _observations(self) -> np.ndarray:
        return self._whole("stacks")

    def _show(self, observations: np.ndarray, indices: np.ndarray) -> None:
        for block, part in zip(self._blocks, self._slices, strict=True):
            here = indices[(indices >= part.start) & (indices < part.stop)]
            observations[here] = block["stacks"][here - part.start]

    def _infos(self) -> dict[str, Any]:
        infos: dict[str, Any] = {"lives": self._whole("lives")}
        if self._room_byte is not None:
            infos["room"] = self._whole("ram")[:, self._room_byte].astype(np.int64)
        return infos


def _compressed(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(zlib.compress(data, 1)), dtype=torch.uint8)


def _decompressed(data: Tensor, size: int) -> bytes:
    """The bytes, which must be so many; no more are unpacked than that."""
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(data.numpy().tobytes(), size + 1)
    if len(unpacked) != size:
        raise ValueError(f"{len(unpacked)} bytes or more where {size} belong")
    return unpacked
