"""One demonstration, found by search, against none: PPO with `DemoResetCurriculum` and PPO alone.

    python -m tests.benchmarks.demo_curriculum

The tasks are one level each of MiniGrid and of Procgen (hard). Every run is judged by episodes from
the true start, and is skipped where its result lies in the folder already.
"""

from __future__ import annotations

import json
import multiprocessing
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

import hxwrappers.envs  # noqa: F401 - registers Procgen
from hxwrappers.demos import Demo, make_environment

METHODS = ("ppo", "curriculum")
PROCGEN = "hxwrappers.envs:hxwrappers/Procgen-v0"
CLIMBER = {"game": "climber", "distribution_mode": "hard", "num_levels": 1, "start_level": 3}
TASKS: dict[str, dict[str, Any]] = {
    "KeyCorridorS4R3": {
        "id": "MiniGrid-KeyCorridorS4R3-v0",
        "kwargs": {},
        "cells": "minigrid",
        "score": 0.1,
        # What is left of MiniGrid's reward shrinks with every step: any success will do.
        "curriculum": {"score_tolerance": 1.0, "allowed_lag": 100},
        "success": 0.0,
        "reward_scale": 1.0,
        "explore": 20,
    },
    "climber, hard": {
        "id": PROCGEN,
        "kwargs": CLIMBER,
        "cells": "frame",
        "score": 10.0,
        # Completing the level is enough, with or without the two stars on the way.
        "curriculum": {"score_tolerance": 2.0, "allowed_lag": 100},
        "success": 9.0,
        # Rewards of 10 make the errors of the values drown the policy's gradient.
        "reward_scale": 0.1,
        "explore": 50,
    },
}


@dataclass(frozen=True)
class Options:
    """What to run."""

    tasks: tuple[str, ...] = tuple(TASKS)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 400_000
    num_envs: int = 16
    processes: int = 2
    search_seconds: float = 300
    folder: Path = Path("runs/demo_curriculum")


def find_demo(options: Options, task: str) -> Path:
    """Search for the task's demonstration, unless it is there already."""
    from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings  # noqa: PLC0415

    path = options.folder / f"{task}.npz"
    if not path.exists():
        about = TASKS[task]
        settings = SearchSettings(
            about["id"], about["kwargs"], CellSettings(about["cells"]), explore=about["explore"]
        )
        search = Search(settings)
        search.run(Limits(score=about["score"], seconds=options.search_seconds))
        path.parent.mkdir(parents=True, exist_ok=True)
        search.demo().save(path)
    return path


def watched(task: str, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """What the agent sees of it."""
    from hxwrappers.envs.minigrid import GridObservation  # noqa: PLC0415

    return env if "climber" in task else GridObservation(env)


class SameStart(gym.Wrapper[Any, Any, Any, Any]):
    """Begins every episode in the demonstration's level."""

    def __init__(self, env: gym.Env[Any, Any], seed: int | None) -> None:
        super().__init__(env)
        self.seed = seed

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset with the demonstration's seed."""
        return self.env.reset(seed=self.seed, options=options)


def plain(task: str, demo: Demo) -> gym.Env[Any, Any]:
    """The task from its start."""
    return watched(task, SameStart(make_environment(demo), demo.metadata.seed))


def run(options: Options, task: str, method: str, seed: int) -> None:
    """Train once, and play from the start."""
    path = options.folder / f"{task}_{method}_{seed}.json"
    if path.exists():
        return
    import torch  # noqa: PLC0415
    from stable_baselines3 import PPO  # noqa: PLC0415
    from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor  # noqa: PLC0415

    from hxwrappers import DemoResetCurriculum  # noqa: PLC0415
    from hxwrappers.curriculum import LocalStore, SuccessTracker  # noqa: PLC0415
    from hxwrappers.sb3 import CurriculumLog  # noqa: PLC0415
    from hxwrappers.sb3.policies import CompactCNN  # noqa: PLC0415

    torch.set_num_threads(1)
    about = TASKS[task]
    demo = Demo.load(options.folder / f"{task}.npz")
    tracker = SuccessTracker(demo, store=LocalStore())

    def curriculum() -> gym.Env[Any, Any]:
        env = make_environment(demo)
        return watched(task, DemoResetCurriculum(env, demo, tracker, **about["curriculum"]))

    make: Callable[[], gym.Env[Any, Any]] = (
        curriculum if method == "curriculum" else partial(plain, task, demo)
    )

    def scaled() -> gym.Env[Any, Any]:
        return gym.wrappers.TransformReward(make(), partial(operator.mul, about["reward_scale"]))

    envs = VecMonitor(DummyVecEnv([scaled] * options.num_envs))
    images = "climber" in task
    model = PPO(
        "CnnPolicy" if images else "MlpPolicy",
        envs,
        learning_rate=4e-4,
        n_steps=128,
        batch_size=256,
        n_epochs=4,
        gamma=0.995 if images else 0.99,
        clip_range=0.2,
        ent_coef=0.01,
        seed=seed,
        device="cpu",
        policy_kwargs={"features_extractor_class": CompactCNN} if images else None,
    )
    start = time.time()
    log = CurriculumLog(tracker)
    model.learn(options.steps, callback=log)
    document = {
        "success": play(model, plain(task, demo), about["success"], seed),
        "seconds": time.time() - start,
        "curriculum": log.rows if method == "curriculum" else [],
    }
    path.write_text(json.dumps(document))
    print(f"{task:16} {method:10} seed {seed}: {document['success']:.2f}", flush=True)


def play(model: Any, env: gym.Env[Any, Any], needed: float, seed: int, episodes: int = 50) -> float:
    """The share of episodes from the start that succeed, with actions drawn from the policy."""
    import torch  # noqa: PLC0415

    torch.manual_seed(seed)
    won = 0
    for _ in range(episodes):
        observation, _ = env.reset()
        score, over, steps = 0.0, False, 0
        while not over and steps < 2000:
            action, _ = model.predict(np.asarray(observation))
            observation, reward, terminated, truncated, _ = env.step(int(action))
            score, over, steps = score + float(reward), terminated or truncated, steps + 1
        won += score > needed
    return won / episodes


def report(options: Options) -> None:
    """Print the table."""
    print(f"\nEpisodes from the start that succeed after {options.steps:,} steps: medians")
    for task in options.tasks:
        length = len(Demo.load(options.folder / f"{task}.npz"))
        for method in METHODS:
            results = [
                json.loads((options.folder / f"{task}_{method}_{seed}.json").read_text())
                for seed in options.seeds
            ]
            shares = [result["success"] for result in results]
            arrived = [
                next((row["steps"] for row in result["curriculum"] if row["frontier"] <= 1), None)
                for result in results
            ]
            print(
                f"{task:16} demonstration of {length} steps  {method:10} "
                f"{median(shares):.2f} {shares}  frontier at the start after {arrived}"
            )


def main() -> None:
    """Run what is missing, then report."""
    options = tyro.cli(Options)
    for task in options.tasks:
        demo = Demo.load(find_demo(options, task))
        print(f"{task}: {len(demo)} steps, score {demo.score:.2f}, {demo.metadata.made_by}")
    jobs = [
        (options, task, method, seed)
        for task in options.tasks
        for seed in options.seeds
        for method in METHODS
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.processes, maxtasksperchild=1) as pool:
        pool.starmap(run, jobs, chunksize=1)
    report(options)


if __name__ == "__main__":
    main()
