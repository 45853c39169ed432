"""The snapshotter for an environment, and the check that it is exact."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from hxwrappers.snapshots.ale import AleSnapshotter
from hxwrappers.snapshots.base import Snapshotter
from hxwrappers.snapshots.generic import DeepCopySnapshotter, OwnStateSnapshotter, ReplaySnapshotter
from hxwrappers.snapshots.mujoco import MujocoSnapshotter


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
        >>> from hxwrappers.snapshots import find_snapshotter
        >>> print(first_inexact_step(find_snapshotter(gym.make("CliffWalking-v1")), steps=20))
        None
    """
    env = snapshotter.env
    generator = np.random.default_rng(seed)
    env.action_space.seed(seed)
    for trial in range(trials):
        env.reset(seed=seed + trial)
        snapshotter.on_reset(seed + trial, None)
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
    snapshotter.on_step(action)
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


_FAMILIES: tuple[type[Snapshotter], ...] = (
    AleSnapshotter,
    MujocoSnapshotter,
    OwnStateSnapshotter,
    DeepCopySnapshotter,
    ReplaySnapshotter,
)


def find_snapshotter(env: gym.Env[Any, Any]) -> Snapshotter:
    """The snapshotter for an environment: the first family that can freeze it exactly.

    Args:
        env: The outermost environment to freeze; its wrappers are frozen with it.

    Returns:
        In this order, one for ALE, MuJoCo, environments that freeze themselves (Procgen), those
        that can be deep-copied, and otherwise one that replays from the seed.

    Example:
        >>> import gymnasium as gym
        >>> env = gym.make("CartPole-v1")
        >>> _ = env.reset(seed=0)
        >>> snapshotter = find_snapshotter(env)
        >>> frozen = snapshotter.snapshot()
        >>> first = env.step(1)[0]
        >>> snapshotter.restore(frozen)
        >>> bool((env.step(1)[0] == first).all())
        True
    """
    return next(family for family in _FAMILIES if family.supports(env))(env)
