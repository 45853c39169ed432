"""Small tasks that show whether something is learned: Catch, and one that needs memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hxwrappers.impala import Impala, ImpalaSettings


class Catch(gym.Env[np.ndarray, int]):
    """A ball falls down a board; a paddle in the last row catches it (reward 1) or not (-1)."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    rows, columns = 10, 5

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (1, self.rows, self.columns), np.uint8)
        self.action_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.ball = [0, int(self.np_random.integers(self.columns))]
        self.paddle = self.columns // 2
        return self._board(), {}

    def step(self, action: int):
        self.paddle = min(max(self.paddle + int(action) - 1, 0), self.columns - 1)
        self.ball[0] += 1
        over = self.ball[0] == self.rows - 1
        reward = (1.0 if self.ball[1] == self.paddle else -1.0) if over else 0.0
        return self._board(), reward, over, False, {}

    def _board(self) -> np.ndarray:
        board = np.zeros((1, self.rows, self.columns), np.uint8)
        board[0, self.ball[0], self.ball[1]] = 255
        board[0, -1, self.paddle] = 255
        return board


class Recall(gym.Env[np.ndarray, int]):
    """Shows one of two signs once; some empty steps later the right action names it (reward 1).

    Without memory nobody does better than 0.5 an episode.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, delay: int = 3) -> None:
        self.observation_space = spaces.Box(0, 1, (3,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.delay = delay

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.sign = int(self.np_random.integers(2))
        self.count = 0
        return np.eye(3, dtype=np.float32)[self.sign], {}

    def step(self, action: int):
        self.count += 1
        over = self.count > self.delay
        observation = np.zeros(3, np.float32)
        observation[2] = self.count == self.delay  # now it must be named
        return observation, float(over and action == self.sign), over, False, {}


MAKERS: dict[str, Callable[[], gym.Env[Any, Any]]] = {
    "cartpole": partial(gym.make, "CartPole-v1"),
    "catch": Catch,
    "recall": Recall,
}


LEARNED: dict[str, tuple[int, dict[str, Any]]] = {
    "cartpole": (150_000, {}),
    "catch": (100_000, {"learning_rate": 1e-3}),
    "recall": (20_000, {"lstm": 32, "features": 32}),
}
"""Steps in which each task is learned, and settings for it."""


def make_tasks(name: str, num_envs: int) -> VectorEnv:
    return SyncVectorEnv([MAKERS[name]] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


def settings_for(seed: int = 0, **options: Any) -> ImpalaSettings:
    """One actor of eight environments, and a learner of one thread."""
    defaults: dict[str, Any] = {
        "num_actors": 1,
        "batch_size": 8,
        "optimizer": "adam",
        "learning_rate": 3e-3,
        "learner_threads": 1,
    }
    return ImpalaSettings(**(defaults | options), seed=seed)


def score(task: str, steps: int, seed: int = 0, **options: Any) -> float:
    """Train by IMPALA, and return the mean score of 200 episodes afterwards."""
    settings = settings_for(seed, **options)
    run = Impala(partial(make_tasks, task, settings.envs_per_actor), settings)
    run.train(steps, progress=False)
    return float(np.mean([episode.score for episode in run.play(200, seed=1000)]))
