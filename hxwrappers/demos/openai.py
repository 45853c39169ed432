"""Import of the demonstrations that OpenAI published: `*.demo` files.

They belong to "Learning Montezuma's Revenge from a Single Demonstration" (Salimans and Chen 2018,
arXiv:1812.03381): pickles of actions at frame skip 1, rewards, and states of an old emulator every
100 steps. The states are taken over into the layout of today's emulator, and the demonstration is
believed only as far as its replay gives the recorded rewards: all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._utils.modules import import_optional, quiet_ale
from hxwrappers.demos.demo import Demo
from hxwrappers.demos.legacy_pickle import load_plain_pickle
from hxwrappers.demos.metadata import DemoMetadata, describe_environment, versions
from hxwrappers.errors import (
    DemoError,
    SnapshotError,
)
from hxwrappers.snapshots import AleSnapshotter
from hxwrappers.snapshots.ale import AleState, check_against, parse_ale_state
from hxwrappers.snapshots.ale_layout import FALSE, WordReader, read_machine, read_system_of_old
from hxwrappers.snapshots.store import SnapshotLog

MAX_FILE_BYTES = 1 << 26


@dataclass(frozen=True)
class LegacyDemo:
    """The content of a `*.demo` file.

    Attributes:
        actions: Indices into the game's minimal action set, one per frame, `uint8`, `(T,)`.
        rewards: The reward of each action, `float64`, `(T,)`.
        checkpoints: Old states by the number of actions taken before them, increasing.
        md5: The md5 of the ROM that the states are of.
    """

    actions: npt.NDArray[np.uint8]
    rewards: npt.NDArray[np.float64]
    checkpoints: tuple[tuple[int, AleState], ...]
    md5: bytes


def read_openai_demo(path: str | os.PathLike[str]) -> LegacyDemo:
    """Read a `*.demo` file without unpickling it.

    Args:
        path: The file.

    Raises:
        DemoError: The file is missing, too large, truncated, no such demonstration, or holds
            anything other than plain data.
    """
    source = Path(path)
    if not source.is_file():
        raise DemoError(f"There is no demonstration file at {source}.")
    if source.stat().st_size > MAX_FILE_BYTES:
        raise DemoError(f"{source} is larger than {MAX_FILE_BYTES} bytes; it was not read.")
    try:
        return _check(load_plain_pickle(source.read_bytes()))
    except (DemoError, SnapshotError) as error:
        raise DemoError(f"{source} is not a usable demonstration: {error}") from error


def import_openai_demo(
    path: str | os.PathLike[str],
    *,
    game: str | None = None,
    snapshot_every: int = 50,
    progress: Callable[[int, int], object] | None = None,
) -> Demo:
    """Turn a `*.demo` file into a demonstration, replaying it all to check it.

    Args:
        path: The file, for example `MontezumaRevenge.demo`.
        game: The game's name in the ALE, for example `"montezuma_revenge"`. Found by the ROM's md5
            or by the file's name unless given.
        snapshot_every: Steps between two snapshots, at most those between the file's own.
        progress: Called now and then with the steps done and the steps in all.

    Returns:
        A demonstration at frame skip 1 and without sticky actions.

    Raises:
        DemoError: The file is not usable; see `read_openai_demo`.
        DemoError: The game cannot be found.
        DemoError: The replay does not give the recorded rewards.
        gymnasium.error.DependencyNotInstalled: ale-py is not installed.
    """
    legacy = read_openai_demo(path)
    game = _find_game(Path(path), legacy.md5) if game is None else game
    env = _make(game, len(legacy.actions))
    try:
        return _Importer(legacy, env, Path(path).name, snapshot_every, progress).run()
    finally:
        env.close()


class _Importer:
    def __init__(
        self,
        legacy: LegacyDemo,
        env: gym.Env[Any, Any],
        name: str,
        snapshot_every: int,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self.legacy = legacy
        self.env = env
        self.name = name
        self.every = snapshot_every
        self.progress = progress
        self.snapshotter = AleSnapshotter(env)
        self.log = SnapshotLog()
        self.seams: list[int] = []
        self.ends = np.zeros((len(legacy.actions), 2), np.bool_)

    def run(self) -> Demo:
        observation, _ = self.env.reset(seed=0)
        template = parse_ale_state(self._state(), finished=False)
        self._keep(0, observation)
        checkpoints = dict(self.legacy.checkpoints)
        for step in range(len(self.legacy.actions)):
            self._step(step)
            if step + 1 in checkpoints:
                self._check_state(step + 1, checkpoints[step + 1], template)
            if (step + 1) % self.every == 0 and self.log.last_step != step + 1:
                self._keep(step + 1)
            if self.progress is not None and step % 1000 == 0:
                self.progress(step, len(self.legacy.actions))
        env = describe_environment(self.snapshotter)
        metadata = DemoMetadata(
            env,
            0,
            None,
            self.snapshotter.family,
            tuple(self.seams),
            versions(),
            {"tool": "import_openai_demo", "file": self.name, "rom_md5": self.legacy.md5.decode()},
        )
        return Demo(
            self.legacy.actions,
            self.legacy.rewards,
            self.ends[:, 0].copy(),
            self.ends[:, 1].copy(),
            metadata,
            self.log.store(),
        )

    def _state(self) -> bytes:
        return bytes(self.snapshotter.freeze_base()["state"])

    def _step(self, step: int) -> None:
        action = int(self.legacy.actions[step])
        if action >= self.env.action_space.n:  # type: ignore[attr-defined]
            raise DemoError(
                f"{self.name} takes action {action} at step {step}, but the game has "
                f"{self.env.action_space}. The demonstration is of another game."
            )
        _, reward, terminated, truncated, _ = self.env.step(action)
        if float(reward) != self.legacy.rewards[step]:
            raise DemoError(
                f"{self.name}: the replay gives the reward {reward} at step {step + 1}, but "
                f"{self.legacy.rewards[step]} was recorded. The recording was made on another "
                "game or a ROM that behaves differently."
            )
        self.ends[step] = terminated, truncated

    def _check_state(self, step: int, old: AleState, template: AleState) -> None:
        """Go on from the file's own state, and note where it is not the one played to."""
        state = old.adapted_to(template).with_layout_of(template)
        try:
            check_against(state, template)
        except SnapshotError as error:
            raise DemoError(f"{self.name}: the state at step {step}: {error}") from error
        data = state.serialise()
        if data != self._state():
            base = {**self.snapshotter.freeze_base(), "state": data}
            self.snapshotter.thaw_base(base)
            self.seams.append(step)
            self._keep(step)

    def _keep(self, step: int, observation: Any = None) -> None:
        if self.snapshotter.exact_now():
            self.log.append(step, self.snapshotter.encode(self.snapshotter.snapshot(observation)))


def _check(document: Any) -> LegacyDemo:
    match document:
        case {
            "actions": list(actions),
            "rewards": list(rewards),
            "checkpoints": list(states),
            "checkpoint_action_nr": list(steps),
        }:
            pass
        case _:
            raise DemoError(
                "it lacks some of the lists actions, rewards, checkpoints, checkpoint_action_nr"
            )
    if not actions or not all(type(item) is int and 0 <= item < 18 for item in actions):
        raise DemoError("its actions are no numbers from 0 to 17")
    # The older recordings begin with the reward of the reset.
    rewards = rewards[1:] if len(rewards) == len(actions) + 1 else rewards
    if len(rewards) != len(actions) or not all(type(item) in (int, float) for item in rewards):
        raise DemoError(f"it has {len(actions)} actions, but {len(rewards)} rewards")
    values = np.array(rewards, np.float64)
    if not np.isfinite(values).all():
        raise DemoError("it has rewards that are not finite")
    in_order = all(type(step) is int for step in steps) and steps == sorted(set(steps))
    if not states or len(steps) != len(states) or not in_order:
        raise DemoError("its checkpoints have no increasing step numbers")
    if steps[0] < 1 or steps[-1] > len(actions):
        raise DemoError("it has checkpoints at steps that it does not have")
    parsed = [_parse_old_state(state) for state in states]
    if len({state.md5 for state in parsed}) != 1:
        raise DemoError("its checkpoints are of several ROMs")
    checkpoints = tuple(zip(steps, parsed, strict=True))
    return LegacyDemo(np.array(actions, np.uint8), values, checkpoints, parsed[0].md5)


def _parse_old_state(state: Any) -> AleState:
    """Take a state of the old layout apart: no mode, no system generator, no paddle limits."""
    if not isinstance(state, np.ndarray) or state.dtype != np.uint8 or state.ndim != 1:
        raise DemoError("a checkpoint is no array of bytes")
    data = state.tobytes()
    reader = WordReader(data)
    left, right, frame, episode_frame, length = reader.words(5)
    (flag,) = reader.words(1)
    md5, cycles = read_system_of_old(reader)
    machine = read_machine(reader)
    settings = reader.words_left()
    if flag != FALSE or length != len(data) - 20:
        raise DemoError("a checkpoint has another layout than the states of that time")
    return AleState(
        (left, right),
        (frame, episode_frame),
        (0, 0),
        md5,
        cycles,
        b"",
        machine,
        settings,
        None,
        (0, 0),
    )


def _find_game(path: Path, md5: bytes) -> str:
    roms = _roms()
    games = {str(spec.kwargs["game"]): name for name, spec in _ale_specs()}
    for game in games:
        if hashlib.md5(Path(roms.get_rom_path(game)).read_bytes()).hexdigest() == md5.decode():
            return game
    wanted = path.stem.lower().replace("_", "")
    for game in games:
        if game.replace("_", "") == wanted:
            return game
    raise DemoError(
        f"{path.name} is of a ROM (md5 {md5.decode()}) that ale-py does not have, and its name is "
        'none of a game. Say which game it is, for example game="montezuma_revenge".'
    )


def _ale_specs() -> list[tuple[str, Any]]:
    return [
        (name, spec)
        for name, spec in gym.registry.items()
        if name.startswith("ALE/") and name.endswith("-v5")
    ]


def _roms() -> Any:
    ale_py = import_optional("ale_py", "Importing Atari demonstrations needs ale-py", "atari")
    gym.register_envs(ale_py)
    quiet_ale()
    return ale_py.roms


def _make(game: str, steps: int) -> gym.Env[Any, Any]:
    _roms()
    ids = {str(spec.kwargs["game"]): name for name, spec in _ale_specs()}
    if game not in ids:
        raise DemoError(f"ale-py has no game called {game!r}; it has {sorted(ids)}.")
    limit = max(108_000, 2 * steps)
    return gym.make(
        ids[game],
        frameskip=1,
        repeat_action_probability=0.0,
        full_action_space=False,
        max_num_frames_per_episode=limit,
    )
