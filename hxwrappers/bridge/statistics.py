"""Episode statistics of layers inside a wrapper that itself ends episodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import gymnasium as gym

STATISTICS = frozenset({"Monitor", "RecordEpisodeStatistics", "VecMonitor"})
"""Names of the classes that keep them: of Stable-Baselines3, which need not be installed, too."""


_FINISHED = {
    "episode_count",
    "episode_lengths",
    "episode_returns",
    "episode_times",
    "length_queue",
    "results_writer",
    "return_queue",
    "time_queue",
    "total_steps",
}


def is_a(layer: object, names: frozenset[str]) -> bool:
    """Whether a layer is of one of these classes, or of a class made from one."""
    return any(kind.__name__ in names for kind in type(layer).__mro__)


class InnerStatistics:
    """The statistics inside a wrapper, which count what they would count outside of it.

    Args:
        env: What the wrapper wraps.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self._layers: list[Any] = []
        layer: Any = env
        while isinstance(layer, gym.Wrapper):
            if is_a(layer, STATISTICS):
                self._layers.insert(0, layer)
            layer = layer.env

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Keep what is done meanwhile out of the counts and files of finished episodes."""
        kept = [
            {
                name: value if name == "results_writer" else copy(value)
                for name, value in vars(layer).items()
                if name in _FINISHED
            }
            for layer in self._layers
        ]
        for layer in self._layers:
            if hasattr(layer, "results_writer"):
                layer.results_writer = None
        try:
            yield
        finally:
            for layer, values in zip(self._layers, kept, strict=True):
                vars(layer).update(values)

    def forget(self, reward: float) -> None:
        """Take the reward of the last step out, which the wrapper did not hand on."""
        for layer in self._layers:
            if hasattr(layer, "rewards"):  # a Monitor
                layer.rewards[-1] -= reward
            else:
                layer.episode_returns -= reward

    def end(self, info: dict[str, Any]) -> None:
        """End the episode with the last step, and put the statistics in its info."""
        for layer in self._layers:
            # It takes its last step again, by its own rules for files and infos, as a final one.
            reward = 0.0
            if hasattr(layer, "rewards"):
                reward = layer.rewards.pop()
                layer.total_steps -= 1
            else:
                layer.episode_lengths -= 1
            inner, layer.env = layer.env, _Final(reward, info)
            try:
                layer.step(None)
            finally:
                layer.env = inner


class _Final:
    """Stands for an environment whose episode ends."""

    def __init__(self, reward: float, info: dict[str, Any]) -> None:
        self._reward, self._info = reward, info

    def step(self, _: object) -> tuple[None, float, bool, bool, dict[str, Any]]:
        """The final step."""
        return None, self._reward, False, True, self._info
