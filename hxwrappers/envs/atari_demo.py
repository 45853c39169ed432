"""The states of an Atari game along a demonstration, as a vector of games restores them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hxwrappers.demos import Demo, make_environment
from hxwrappers.envs.atari_games import AtariSnapshot, GameSettings, load_game
from hxwrappers.errors import DemoError, SnapshotError
from hxwrappers.snapshots.ale import check_against, parse_ale_state


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
