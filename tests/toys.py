"""Small environments with short episodes that show exactly what was done to them."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Echo(gym.Env[Any, Any]):
    """Observes (steps so far, the executed action's code, a random number of the environment).

    Episodes end after `length` steps: terminated in odd episodes, truncated in even ones.
    The reward is the code of the action plus a little of the random number.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, length: int = 4, kind: str = "discrete") -> None:
        self.observation_space = spaces.Box(-1000, 1000, (3,), np.float64)
        self.action_space = ACTION_SPACES[kind]()
        self.length = length
        self.executed: list[Any] = []
        self.episode = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.episode = 0
        self.steps = 0
        self.episode += 1
        return np.array([0, 0, self.np_random.random()]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.executed.append(action)
        self.steps += 1
        code = code_of(action)
        noise = self.np_random.random()
        ends = self.steps >= self.length
        odd = self.episode % 2 == 1
        observation = np.array([self.steps, code, noise])
        return observation, code + noise / 8, ends and odd, ends and not odd, {}


def code_of(action: Any) -> float:
    """Return a number that differs for different actions."""
    if isinstance(action, dict):
        return sum(code_of(item) for item in action.values())
    if isinstance(action, tuple):
        return sum(code_of(item) for item in action)
    return float(np.sum(np.asarray(action, dtype=np.float64)))


class InPlace(gym.Env[Any, Any]):
    """Doubles its action in place, observes and pays it; an episode lasts five steps."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-1000, 1000, (1,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        action *= 2
        self.steps += 1
        return action.copy(), float(action[0]), self.steps >= 5, False, {}

    def render(self) -> Any:
        return np.zeros((8, 8, 3), np.uint8)


ACTION_SPACES = {
    "discrete": lambda: spaces.Discrete(6),
    "multi-discrete": lambda: spaces.MultiDiscrete([3, 5]),
    "multi-binary": lambda: spaces.MultiBinary(3),
    "box": lambda: spaces.Box(-1, 1, (2,), np.float32),
    "nested": lambda: spaces.Dict(
        move=spaces.Discrete(4),
        arm=spaces.Tuple((spaces.Box(-1, 1, (2,), np.float64), spaces.MultiBinary(2))),
    ),
}
gym.register("HxEcho-v0", entry_point="tests.toys:Echo")


def make_echo(length: int = 4, kind: str = "discrete") -> gym.Env[Any, Any]:
    return gym.make("HxEcho-v0", length=length, kind=kind)
