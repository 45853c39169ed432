"""Demonstrations as agents see them: observations, and states for vectors of Atari games."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._utils.modules import import_optional
from hxwrappers.demos import Demo, make_environment
from hxwrappers.envs.atari_games import AtariSnapshot, GameSettings, load_game
from hxwrappers.envs.atari_wrappers import ROOM_BYTES
from hxwrappers.errors import DemoError, InvalidArgumentError, SnapshotError
from hxwrappers.snapshots.ale import check_against, parse_ale_state

_FRAME_SKIP = 4


class View(NamedTuple):
    """A step of a demonstration.

    Attributes:
        step: How many steps of the demonstration were taken.
        observation: As the agent would have seen it.
        room: The room in the emulator's RAM where it is known, otherwise 0.
    """

    step: int
    observation: npt.NDArray[Any]
    room: int


def views_along(demo: Demo, env: gym.Env[Any, Any], shape: tuple[int, ...]) -> Iterator[View]:
    """Replay a demonstration and see it as an agent with observations of a shape does.

    Observations of that shape are taken as they are. An Atari game recorded frame by frame is seen
    every fourth frame, grey and resized, all of a stack filled with the newest frame.

    Args:
        demo: The demonstration.
        env: Its environment (`hxwrappers.demos.make_environment`).
        shape: The shape of the agent's observations.

    Raises:
        InvalidArgumentError: The demonstration cannot be seen so.
        DependencyNotInstalled: OpenCV is missing.

    Example:
        >>> from hxwrappers.demos import make_environment, shipped
        >>> demo = shipped("montezuma-first-key")
        >>> view = next(views_along(demo, make_environment(demo), (4, 84, 84)))
        >>> view.step, view.observation.shape, view.room
        (4, (4, 84, 84), 1)
    """
    emulator: Any = env.unwrapped
    room_byte = ROOM_BYTES.get(getattr(emulator, "_game", ""))
    as_they_are = env.observation_space.shape == shape
    if not as_they_are and not (len(shape) == 3 and demo.metadata.env.get("frame_skip") == 1):
        raise InvalidArgumentError(
            f"The demonstration's observations are {env.observation_space}, and those of the model "
            f"have the shape {shape}. Take a demonstration of the same environment, or one of an "
            "Atari game frame by frame and a model of stacked grey frames."
        )
    for transition in demo.replay(env):
        if as_they_are:
            observation = np.asarray(transition.observation)
        elif transition.step % _FRAME_SKIP:
            continue
        else:
            observation = _stack(transition.observation, shape)
        room = 0 if room_byte is None else int(emulator.ale.getRAM()[room_byte])
        yield View(transition.step, observation, room)


def _stack(frame: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    cv2 = import_optional("cv2", "Frames of demonstrations need OpenCV", "atari")
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, shape[:0:-1], interpolation=cv2.INTER_AREA)
    stack: npt.NDArray[np.uint8] = np.broadcast_to(small, shape)
    return stack


def is_by_frame(demo: Demo) -> bool:
    """Whether it is a demonstration of an Atari game that was recorded frame by frame."""
    return "game" in demo.metadata.env and demo.metadata.env.get("frame_skip") == 1


class AtariDemoStates:
    """Every step of a demonstration as a state that games of given settings can begin in.

    The demonstration is replayed once. A step takes a frame and an emulator's state of memory, some
    10 kB; its stack of frames is put together when it is asked for.

    Args:
        demo: The demonstration, recorded frame by frame.
        rom: Path of the game's ROM.
        settings: How the games are played.

    Attributes:
        action_space: The actions that the demonstration chose from.

    Raises:
        DemoError: It is no demonstration of this game frame by frame, or it does not replay.
    """

    def __init__(self, demo: Demo, rom: str, settings: GameSettings) -> None:
        import cv2  # noqa: PLC0415 - an optional extra

        if not is_by_frame(demo):
            recorded = demo.metadata.env
            raise DemoError(
                "Games side by side begin in demonstrations of an Atari game that were recorded "
                f"frame by frame (frame_skip=1), and this one is of {recorded.get('id')!r} with a "
                f"frame skip of {recorded.get('frame_skip')}. Use hxwrappers.DemoResetCurriculum "
                "around single environments."
            )
        self._skip, self._number = settings.frame_skip, settings.frame_stack
        env = make_environment(demo)
        player = demo.player(env)
        player.require_replay()
        self.action_space = env.action_space
        emulator: Any = env.unwrapped
        ale = emulator.ale
        size = (settings.screen_size, settings.screen_size)
        env.reset()
        older = cv2.cvtColor(player.restore(0), cv2.COLOR_RGB2GRAY)
        newer = older.copy()
        self._states = [ale.cloneState()]
        self._check_game(rom)
        self._frames = [cv2.resize(newer, size, interpolation=cv2.INTER_AREA)]
        for _ in player.replay(0, len(demo)):
            older, newer = newer, older
            ale.getScreenGrayscale(newer)
            shown = np.maximum(older, newer) if self._skip > 1 else newer
            self._states.append(ale.cloneState())
            self._frames.append(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
        env.close()

    def __len__(self) -> int:
        """Steps of the demonstration, and the state before the first one."""
        return len(self._states)

    def __getitem__(self, step: int) -> AtariSnapshot:
        """The state after so many steps; frames from before the demonstration are black."""
        steps = range(step - (self._number - 1) * self._skip, step + 1, self._skip)
        black = np.zeros_like(self._frames[0])
        stack = np.stack([black if each < 0 else self._frames[each] for each in steps])
        return AtariSnapshot(self._states[step], stack)

    def _check_game(self, rom: str) -> None:
        template = parse_ale_state(load_game(rom).cloneState().serialize(), finished=False)
        try:
            check_against(parse_ale_state(self._states[0].serialize(), finished=False), template)
        except SnapshotError as error:
            raise DemoError(f"The demonstration is of another game: {error}") from error
