"""Beginnings of episodes at evaluation, and the conditions under which they are played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import gymnasium as gym

from hxwrappers.files.generators import own_generator

Start = Literal["plain", "noop", "sticky", "epsilon"]
STARTS: tuple[Start, ...] = get_args(Start)
"""The ways in which episodes are played at evaluation."""
NOOP_MAX, STICKINESS, EPSILON = 30, 0.25, 0.01


class IdleStart(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Begins every episode with 1 to `noop_max` steps of doing nothing, drawn at random.

    What these steps earn is lost. Where they end the episode, the next one begins without them. Of
    a game of ALE with a frame skip they are single frames.

    Args:
        env: The environment.
        action: The action that does nothing.
        noop_max: How many such steps there are at most, 1 or more.

    Example:
        >>> env = IdleStart(gym.make("CliffWalking-v1"), action=3)  # against the wall
        >>> int(env.reset(seed=0)[0]), env.idle_steps
        (36, 24)
    """

    def __init__(self, env: gym.Env[Any, Any], action: int, noop_max: int = NOOP_MAX) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, action=action, noop_max=noop_max)
        gym.Wrapper.__init__(self, env)
        self._action, self._noop_max = action, noop_max
        self._generator = own_generator(None, "IdleStart")
        self.idle_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset and idle; a seed also seeds how long."""
        if seed is not None:
            self._generator = own_generator(seed, "IdleStart")
        observation, info = self.env.reset(seed=seed, options=options)
        self.idle_steps = int(self._generator.integers(1, self._noop_max + 1))
        with _frame_by_frame(self.env.unwrapped):
            for _ in range(self.idle_steps):
                observation, _, terminated, truncated, info = self.env.step(self._action)
                if terminated or truncated:
                    return self.env.reset(options=options)
        return observation, info


@contextmanager
def _frame_by_frame(game: Any) -> Iterator[None]:
    """Take single frames of an emulator a step, whatever its frame skip."""
    if not hasattr(game, "ale"):
        yield
        return
    skip, game._frameskip = game._frameskip, 1
    try:
        yield
    finally:
        game._frameskip = skip
