"""Layers and programs outside of a wrapper, which show when they call its `reset`.

A wrapper knows what it wraps, but nobody tells it what wraps it. Some of what may stand there makes
numbers that mean something else than one expects, so it is looked for where it can be seen: among
the callers. Workers in other processes hide theirs.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

from hxwrappers.bridge.statistics import STATISTICS, is_a
from hxwrappers.errors import SharedModelWarning, StatisticsWarning

_VECTORS = frozenset({"DummyVecEnv", "SyncVectorEnv"})


class WatchesCallers:
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
