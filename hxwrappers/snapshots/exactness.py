"""Trials of an environment: whether it repeats itself, and whether restores are exact."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from hxwrappers._utils.checks import brief
from hxwrappers.snapshots.base import Snapshotter, layers_of

_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, np.ndarray, np.generic)
_PRIVATE_TO_GYMNASIUM = frozenset({"_np_random_seed", "_saved_kwargs"})


class _Moment(NamedTuple):
    observation: Any
    reward: float
    end: tuple[bool, bool]


def first_unrepeated_step(
    env: gym.Env[Any, Any], *, steps: int = 200, seed: int = 0, repeats: int = 2
) -> str | None:
    """Try out whether the same actions after the same `reset(seed=)` come to the same.

    Args:
        env: The environment; it is reset and stepped.
        steps: How many random steps to take, to the episode's end at most.
        seed: Seed of the resets and of the random actions.
        repeats: How often to repeat them.

    Returns:
        None where nothing differed, otherwise a sentence that names the first difference and, where
        that can be seen, the generator that was drawn from.

    Example:
        >>> import gymnasium as gym
        >>> print(first_unrepeated_step(gym.make("CartPole-v1")))
        None
    """
    before = _global_generators()
    first = _episode(env, steps, seed)
    after = _global_generators()
    for _ in range(repeats):
        for step, (one, other) in enumerate(zip(first, _episode(env, steps, seed), strict=False)):
            what = _difference(one, other)
            if what is not None:
                when = f"{step} steps after it" if step else "right after it"
                drawn = [name for name in before if not _equal(before[name], after[name])]
                source = (
                    f"it draws from {' and '.join(drawn)}"
                    if drawn
                    else "it has a generator that the seed does not reach, or looks at the clock"
                )
                return (
                    f"there is chance in it that reset(seed={seed}) does not fix: the {what} "
                    f"differs {when} although the actions are the same; {source}. Let it draw from "
                    "self.np_random alone"
                )
    return None


def first_inexact_step(
    snapshotter: Snapshotter, *, steps: int = 200, trials: int = 8, seed: int = 0
) -> str | None:
    """Try out whether restores are exact: the same actions twice from the same snapshot.

    Some emulators leave a part of their state out of what they save (in ale-py 0.12.1: Yars'
    Revenge), and so does a `set_state` that forgets an attribute. The environment is reset and
    stepped.

    Args:
        snapshotter: The snapshotter to try, with its environment.
        steps: How many steps to take from each snapshot.
        trials: How many snapshots to try, at random steps.
        seed: Seed of the environment and of the random actions.

    Returns:
        None where nothing differed, otherwise a sentence that names the first difference and the
        attributes that were not restored, as far as they can be seen.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers.snapshots import find_snapshotter
        >>> print(first_inexact_step(find_snapshotter(gym.make("CliffWalking-v1")), steps=20))
        None
    """
    env = snapshotter.env
    generator = np.random.default_rng(seed)
    env.action_space.seed(seed)
    deepest = steps
    for trial in range(trials):
        env.reset(seed=seed + trial)
        snapshotter.on_reset(seed + trial, None)
        depth = int(generator.integers(1, deepest + 1))
        ended = False
        for taken in range(depth):
            ended = any(_step(snapshotter, env.action_space.sample()).end)
            if ended:
                deepest = max(1, taken)  # later trials begin before such an end
                break
        while not ended and not snapshotter.exact_now():
            ended = any(_step(snapshotter, env.action_space.sample()).end)
        if ended:
            continue
        frozen, kept = snapshotter.snapshot(), _attributes(env)
        actions = [env.action_space.sample() for _ in range(steps)]
        first = _run(snapshotter, actions)
        snapshotter.restore(frozen)
        restored = _attributes(env)
        for step, (one, other) in enumerate(zip(first, _run(snapshotter, actions), strict=False)):
            what = _difference(one, other)
            if what is not None:
                return (
                    f"the {what} differs {step + 1} steps after restoring a snapshot taken "
                    f"{depth} steps after reset(seed={seed + trial}){_lost(kept, restored)}"
                )
    return None


def _difference(one: _Moment, other: _Moment) -> str | None:
    for name, first, second in zip(one._fields, one, other, strict=True):
        if not _equal(first, second):
            return name
    return None


def _equal(one: Any, other: Any) -> bool:
    return bool(data_equivalence(one, other, exact=True))


def _step(snapshotter: Snapshotter, action: Any) -> _Moment:
    observation, reward, terminated, truncated, _ = snapshotter.env.step(action)
    snapshotter.on_step(action)
    return _Moment(observation, float(reward), (terminated, truncated))


def _run(snapshotter: Snapshotter, actions: list[Any]) -> list[_Moment]:
    moments = []
    for action in actions:
        moments.append(_step(snapshotter, action))
        if any(moments[-1].end):
            break
    return moments


def _episode(env: gym.Env[Any, Any], steps: int, seed: int) -> list[_Moment]:
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    moments = [_Moment(copy.deepcopy(observation), 0.0, (False, False))]
    while len(moments) <= steps and not any(moments[-1].end):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        # A copy, since some environments hand out one array again and again.
        moments.append(_Moment(copy.deepcopy(observation), float(reward), (terminated, truncated)))
    return moments


def _global_generators() -> dict[str, Any]:
    """The states of the generators that a whole process shares."""
    return {
        "random": random.getstate(),
        "numpy.random": np.random.get_state(),  # noqa: NPY002 - of others' environments
    }


def _attributes(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Copies of the plain attributes of an environment and its wrappers, by name."""
    found = {}
    for layer in [*layers_of(env), env.unwrapped]:
        for name, value in vars(layer).items():
            if isinstance(value, _PLAIN) and name not in _PRIVATE_TO_GYMNASIUM:
                try:
                    found[f"{type(layer).__name__}.{name}"] = copy.deepcopy(value)
                except Exception:
                    continue
    return found


def _lost(kept: Mapping[str, Any], restored: Mapping[str, Any]) -> str:
    """What to add about attributes that a restore did not bring back."""
    lost = [
        f"{name} is {brief(repr(restored.get(name)))} and was {brief(repr(value))}"
        for name, value in kept.items()
        if not _equal(value, restored.get(name))
    ]
    if not lost:
        return ""
    return f"; not restored: {', '.join(lost[:3])}"
