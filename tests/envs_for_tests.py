"""Small environments whose every step is known."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import WrapperSpec
from gymnasium.wrappers import FrameStackObservation


class Corridor(gym.Env[np.ndarray, int]):
    """Counts its steps; ends after a length drawn at each reset, by termination or truncation.

    The observation is `[episode, step]` plus noise from the environment's own generator, so that
    every observation can be told from every other and a stolen random number shows.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, shortest: int = 2, longest: int = 5) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.shortest, self.longest = shortest, longest
        self.episode = 0

    def _observation(self) -> np.ndarray:
        noise = self.np_random.normal(scale=0.01, size=2)
        return (np.array([self.episode, self.count]) + noise).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.episode = 1 if seed is not None else self.episode + 1
        self.count = 0
        self.length = int(self.np_random.integers(self.shortest, self.longest + 1))
        return self._observation(), {}

    def step(self, action: int):
        self.count += 1
        over = self.count >= self.length
        terminated = over and self.length % 2 == 0
        return self._observation(), float(action), terminated, over and not terminated, {}


class Pictures(gym.Env[np.ndarray, int]):
    """Random grey pictures; an episode lasts four steps."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, side: int = 40) -> None:
        self.observation_space = spaces.Box(0, 255, (side, side, 1), np.uint8)
        self.action_space = spaces.Discrete(2)

    def _observation(self) -> np.ndarray:
        return self.np_random.integers(0, 256, self.observation_space.shape, np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.count = 0
        return self._observation(), {}

    def step(self, action: int):
        self.count += 1
        return self._observation(), 0.0, self.count >= 4, False, {}


class Painted(Corridor):
    """A corridor that draws its steps, in pictures of odd height."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, shortest: int = 2, longest: int = 5, render_mode: str | None = None) -> None:
        super().__init__(shortest, longest)
        self.render_mode = render_mode

    def render(self) -> np.ndarray:
        return np.full((33, 48, 3), 40 * self.count, np.uint8)


def pair_of_corridors(**kwargs: Any) -> gym.Env[np.ndarray, int]:
    """A corridor whose observations are the last two of its own."""
    return FrameStackObservation(Corridor(**kwargs), 2)


gym.register("HxPainted-v0", entry_point="tests.envs_for_tests:Painted")
gym.register("HxPair-v0", "tests.envs_for_tests:pair_of_corridors", max_episode_steps=9)
gym.register(
    "HxSkipping-v0",
    "tests.envs_for_tests:Corridor",
    max_episode_steps=9,
    additional_wrappers=(
        WrapperSpec(
            "MaxAndSkipObservation", "gymnasium.wrappers:MaxAndSkipObservation", {"skip": 2}
        ),
    ),
)
