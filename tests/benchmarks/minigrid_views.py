"""MiniGrid's own views against ours: `python -m tests.benchmarks.minigrid_views`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import minigrid
import numpy as np
from minigrid.wrappers import FullyObsWrapper, ImgObsWrapper, OneHotPartialObsWrapper

from hxwrappers.envs import make_minigrid

TASKS = ("DoorKey-8x8", "MultiRoom-N6")
ROUNDS, STEPS = 7, 1500


def views(task: str) -> dict[str, Callable[[], gym.Env[Any, Any]]]:
    def theirs() -> gym.Env[Any, Any]:
        return gym.make(f"MiniGrid-{task}-v0")

    return {
        "partial, MiniGrid codes": lambda: ImgObsWrapper(theirs()),
        "partial, ours codes": lambda: make_minigrid(task, encoding="codes"),
        "partial, MiniGrid one-hot": lambda: ImgObsWrapper(OneHotPartialObsWrapper(theirs())),
        "partial, ours one-hot": lambda: make_minigrid(task),
        "full, MiniGrid codes": lambda: ImgObsWrapper(FullyObsWrapper(theirs())),
        "full, ours codes": lambda: make_minigrid(task, view="full", encoding="codes"),
        "full, ours one-hot": lambda: make_minigrid(task, view="full"),
    }


def steps_a_second(env: gym.Env[Any, Any], actions: np.ndarray) -> float:
    start = time.perf_counter()
    for action in actions.tolist():
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return len(actions) / (time.perf_counter() - start)


def main() -> None:
    gym.register_envs(minigrid)
    rng = np.random.default_rng(0)
    for task in TASKS:
        envs = {name: make() for name, make in views(task).items()}
        for env in envs.values():
            env.reset(seed=0)
        speeds: dict[str, list[float]] = {name: [] for name in envs}
        for _ in range(ROUNDS):
            actions = rng.integers(0, 6, STEPS)
            for name, env in envs.items():
                speeds[name].append(steps_a_second(env, actions))
        for name, values in speeds.items():
            low, high = np.percentile(values, [25, 75])
            print(
                f"{task:14s} {name:28s} {statistics.median(values):8,.0f} steps a second "
                f"(quartiles {low:,.0f} to {high:,.0f})"
            )


if __name__ == "__main__":
    main()
