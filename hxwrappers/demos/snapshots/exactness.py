"""Whether a snapshotter keeps its promise in a given environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from hxwrappers.demos.snapshots.base import Snapshotter

__all__ = ["first_inexact_step"]


def first_inexact_step(
    snapshotter: Snapshotter, *, steps: int = 200, trials: int = 8, seed: int = 0
) -> str | None:
    """Try out whether restores are exact: the same actions twice from the same snapshot.

    Some emulators leave a part of their state out of what they save (in ale-py 0.12.1: Yars'
    Revenge). The environment is reset and stepped.

    Args:
        snapshotter: The snapshotter to try, with its environment.
        steps: How many steps to take from each snapshot.
        trials: How many snapshots to try, at random steps.
        seed: Seed of the environment and of the random actions.

    Returns:
        None where nothing differed, otherwise a sentence that names the first difference.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers.demos.snapshots import find_snapshotter
        >>> print(first_inexact_step(find_snapshotter(gym.make("CliffWalking-v1")), steps=20))
        None
    """
    env = snapshotter.env
    generator = np.random.default_rng(seed)
    env.action_space.seed(seed)
    for trial in range(trials):
        env.reset(seed=seed + trial)
        snapshotter.saw_reset(seed + trial, None)
        depth = int(generator.integers(1, steps + 1))
        ended = False
        for _ in range(depth):
            if not ended:
                ended = _step(snapshotter, env.action_space.sample())[3]
        while not ended and not snapshotter.exact_now():
            ended = _step(snapshotter, env.action_space.sample())[3]
        if ended:
            continue
        frozen = snapshotter.snapshot()
        actions = [env.action_space.sample() for _ in range(steps)]
        first = _run(snapshotter, actions)
        snapshotter.restore(frozen)
        second = _run(snapshotter, actions)
        for step, (expected, got) in enumerate(zip(first, second, strict=False)):
            for name, one, other in zip(
                ("observation", "reward", "end"), expected[:3], got[:3], strict=True
            ):
                if not data_equivalence(one, other, exact=True):
                    return (
                        f"the {name} differs {step + 1} steps after restoring a snapshot taken "
                        f"{depth} steps after reset(seed={seed + trial})"
                    )
    return None


def _step(snapshotter: Snapshotter, action: Any) -> tuple[Any, float, tuple[bool, bool], bool]:
    observation, reward, terminated, truncated, _ = snapshotter.env.step(action)
    snapshotter.saw_step(action)
    return observation, float(reward), (terminated, truncated), terminated or truncated


def _run(
    snapshotter: Snapshotter, actions: list[Any]
) -> list[tuple[Any, float, tuple[bool, bool], bool]]:
    steps = []
    for action in actions:
        steps.append(_step(snapshotter, action))
        if steps[-1][3]:
            break
    return steps
