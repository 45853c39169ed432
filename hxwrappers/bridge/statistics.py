"""Episode statistics inside and around a wrapper, and evaluations that call it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from types import FrameType
from typing import Any

import gymnasium as gym

from hxwrappers.errors import SharedModelWarning, StatisticsWarning

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
    def paused(self) -> Iterator[None]:
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


_VECTORS = frozenset({"DummyVecEnv", "SyncVectorEnv"})


class CallerChecks:
    """Warns, once, of what lies outside and does not go with rewards that were added to."""

    _watched = False

    def _watch(self) -> None:
        """Look; call it from `reset`."""
        if not self._watched:
            self._watched = True
            _warn_of_outside(self)


def evaluates() -> bool:
    """Whether `evaluate_policy` of Stable-Baselines3 is among the callers, but not to learn."""
    found = False
    for frame in _callers():
        module = str(frame.f_globals.get("__name__"))
        if found and module.startswith("sb3_contrib.ars."):  # which learns from nothing else
            return False
        name = frame.f_code.co_name
        found = found or (name == "evaluate_policy" and module.startswith("stable_baselines3."))
    return found


def warn_of_evaluation(what: str) -> None:
    """Warn that an evaluation does more than play.

    Args:
        what: What it does, a whole sentence.
    """
    warnings.warn(
        f"{what} Play in hxwrappers.sb3.evaluation_env(training_env, another_env) instead, or set "
        "`training` to False meanwhile.",
        StatisticsWarning,
        stacklevel=4,
    )


def _callers() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _warn_of_outside(wrapper: Any) -> None:
    name = type(wrapper).__name__
    for frame in _callers():
        layer = frame.f_locals.get("self") if frame.f_code.co_name == "reset" else None
        if layer is None or layer is wrapper:
            continue
        if getattr(layer, "hands_on_extrinsic_rewards", False):
            return
        kind = type(layer).__name__
        if is_a(layer, STATISTICS):
            warnings.warn(
                f"The episode statistics of {kind} contain what {name} adds to rewards: returns "
                f"are not those of the game. Put {kind} inside {name}; for a single environment "
                "in Stable-Baselines3 wrap Monitor(env) in the bonus.",
                StatisticsWarning,
                stacklevel=4,
            )
            return
        several = is_a(layer, _VECTORS) and getattr(layer, "num_envs", 1) > 1
        if several and getattr(wrapper, "_owns_model", False):
            warnings.warn(
                f"{name} is around each environment of a {kind}: each is scored by itself, which "
                "takes many times longer, and by a model that sees nothing of the others. "
                f"Wrap the {kind} instead, in the {name} of hxwrappers.vector or the Vec{name} of "
                "hxwrappers.sb3.",
                SharedModelWarning,
                stacklevel=4,
            )
            return
