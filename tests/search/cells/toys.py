"""A row of places, and cell functions of every bad kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from hxwrappers.search.cells import CellSettings, SearchSettings

ENV_ID = "tests.search.cells.toys:tests/Row-v0"


class Row(gym.Env[int, int]):
    """Places 0 to 20, begun at 5; action 7 goes left, 8 right.

    Place 10 gives a reward of 1 the first time, place 0 costs a life, 20 ends it with 5.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, lives: int = 2) -> None:
        self.all_lives = lives
        self.observation_space = spaces.Discrete(21)
        self.action_space = spaces.Discrete(2, start=7)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.place, self.lives, self.paid = 5, self.all_lives, False
        return self.place, {"lives": self.lives}

    def step(self, action: int):
        assert action in (7, 8)
        self.place += 1 if action == 8 else -1
        reward = 0.0
        if self.place == 10 and not self.paid:
            self.paid, reward = True, 1.0
        if self.place == 0:
            self.place, self.lives = 5, self.lives - 1
        ended = self.place == 20 or self.lives == 0
        return self.place, reward + 5.0 * (self.place == 20), ended, False, {"lives": self.lives}


class Drip(gym.Env[int, int]):
    """Sixty steps, each of which pays a tenth with action 1."""

    observation_space, action_space = spaces.Discrete(61), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.place = 0
        return self.place, {}

    def step(self, action: int):
        self.place += 1
        return self.place, 0.1 * action, self.place == 60, False, {}


class Silent(gym.Env[int, str]):
    """Cannot be searched: its actions are words."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Text(3)


class Uncopyable(Row):
    """Can only be replayed from its seed."""

    def __init__(self) -> None:
        super().__init__()
        self.door = (place for place in range(3))


gym.register("tests/Row-v0", entry_point=Row)
gym.register("tests/Drip-v0", entry_point=Drip)
gym.register("tests/Silent-v0", entry_point=Silent)
gym.register("tests/Uncopyable-v0", entry_point=Uncopyable)


def settings(kind: str = "observation", **changes: Any) -> SearchSettings:
    return SearchSettings(ENV_ID, cells=CellSettings(kind), **{"explore": 10, **changes})


def tens(env: gym.Env[Any, Any], observation: int) -> tuple[np.int64, bool]:
    return np.int64(observation), observation >= 10


tens.room = lambda cell: cell[1]  # type: ignore[attr-defined]


def marking(env: gym.Env[Any, Any], observation: int) -> int:
    """Leaves a mark in the folder named by the environment once the search is under way."""
    if observation != 5:
        (Path(os.environ["HXWRAPPERS_TEST_FOLDER"]) / "mark").touch()
    return observation


def failing(env: gym.Env[Any, Any], observation: int) -> int:
    if observation == 8:
        raise RuntimeError("eight")
    return observation


def unhashable(env: gym.Env[Any, Any], observation: int) -> Any:
    return [observation] if observation == 8 else observation


def an_array(env: gym.Env[Any, Any], observation: int) -> Any:
    return np.zeros(2)


def an_object(env: gym.Env[Any, Any], observation: int) -> Any:
    return (1, object())


no_function = 3
