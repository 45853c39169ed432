"""DQN and SAC without a bonus, with one that is stored, and with one that is scored when sampled.

    python -m tests.benchmarks.replay_bonus

No task pays anything on the way to the goal: MountainCar takes 1 for each step, its continuous form
takes a little for each action and gives 100 at the goal, and a point in a square is given 1 in the
corner opposite to its start. Each line is a run: the step at which the goal was first reached, how
many episodes reached it, and the mean return without bonus of the last fifth of the steps and of 20
episodes that the final policy plays without noise.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
import tyro
from gymnasium import spaces
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from hxwrappers.sb3 import BonusReplayBuffer, VecRNDBonus

Task = Literal["mountain-car", "mountain-car-continuous", "point"]
Bonus = Literal["none", "stored", "sampled"]
ENVS = 8
"""Environments side by side; every network call is for all of them."""
SMALL = {"device": "cpu", "batch_size": 128}
TASKS: dict[Task, tuple[str, Any, int, dict[str, Any], dict[str, float]]] = {
    "mountain-car": (
        "MountainCar-v0",
        DQN,
        60_000,
        {
            "learning_rate": 1e-3,
            "gamma": 0.98,
            "buffer_size": 50_000,
            "learning_starts": 1000,
            "target_update_interval": 600,
            "train_freq": 16 // ENVS,
            "gradient_steps": 8,
            "exploration_fraction": 0.2,
            "exploration_final_eps": 0.07,
        },
        {"coefficient": 3.0, "learning_rate": 3e-5},
    ),
    "mountain-car-continuous": (
        "MountainCarContinuous-v0",
        SAC,
        24_000,
        {
            "buffer_size": 50_000,
            "learning_starts": 1000,
            "train_freq": 32 // ENVS,
            "gradient_steps": 4,
        },
        {"coefficient": 10.0, "learning_rate": 1e-3},
    ),
    "point": (
        "HxPoint-v0",
        SAC,
        5_000,
        {
            "learning_rate": 1e-3,
            "ent_coef": 0.01,
            "tau": 0.02,
            "buffer_size": 50_000,
            "learning_starts": 1000,
            "train_freq": 32 // ENVS,
            "gradient_steps": 8,
        },
        {"coefficient": 10.0, "learning_rate": 1e-3},
    ),
}
"""Environment, algorithm, steps, its settings, and those of the bonus."""


class Point(gym.Env[Any, Any]):
    """Moves in a unit square; the corner opposite to the start pays 1 and ends the episode."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 1, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = np.full(2, 0.1, np.float32)
        return self.place, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place = np.clip(self.place + 0.05 * action, 0, 1).astype(np.float32)
        there = bool((self.place > 0.85).all())
        return self.place, float(there), there, False, {}


gym.register("HxPoint-v0", entry_point=lambda **_: Point(), max_episode_steps=100)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    tasks: tuple[Task, ...] = ("mountain-car", "point")
    bonuses: tuple[Bonus, ...] = ("none", "stored", "sampled")
    seeds: tuple[int, ...] = (0, 1, 2)
    coefficient: float | None = None
    steps: int | None = None


class Episodes(BaseCallback):
    """Notes when episodes ended, what they scored, and whether at the goal."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[tuple[int, float, bool]] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                goal = not info["TimeLimit.truncated"]
                self.ended.append((self.num_timesteps, float(info["episode"]["r"]), goal))
        return True


def run(options: Options, task: Task, bonus: Bonus, seed: int) -> dict[str, Any]:
    """One training."""
    name, algorithm, steps, settings, bonus_settings = TASKS[task]
    steps = options.steps or steps
    plain = make_vec_env(name, ENVS, seed=seed)
    envs = plain
    if bonus != "none":
        nets: dict[str, Any] = {
            "features": 64,
            "hidden": 64,
            **bonus_settings,
            "warmup_steps": 512 // ENVS,
            "update_every": 128 // ENVS,
            "device": "cpu",
            "seed": seed,
        }
        if options.coefficient is not None:
            nets["coefficient"] = options.coefficient
        envs = VecRNDBonus(plain, **nets)
    buffer = {"replay_buffer_class": BonusReplayBuffer} if bonus == "sampled" else {}
    nets_of_policy = {"net_arch": [64, 64]}  # a new one for each: SAC writes into it
    model = algorithm(
        "MlpPolicy",
        envs,
        seed=seed,
        policy_kwargs=nets_of_policy,
        **SMALL,
        **settings,
        **buffer,
    )
    if bonus == "sampled":
        model.replay_buffer.set_env(model.get_env())
    watch = Episodes()
    began = time.process_time()
    model.learn(steps, callback=watch)
    seconds = time.process_time() - began
    score, _ = evaluate_policy(model, make_vec_env(name, 20, seed=1000 + seed), 20)
    goals = [step for step, _, goal in watch.ended if goal]
    assert isinstance(score, float | np.floating)
    return {
        "task": task,
        "bonus": bonus,
        "seed": seed,
        "first_goal": goals[0] if goals else None,
        "goals": len(goals),
        "episodes": len(watch.ended),
        "last_fifth": float(np.mean([r for step, r, _ in watch.ended if step > 0.8 * steps])),
        "played": float(score),
        "cpu_seconds": round(seconds),
    }


def main(options: Options) -> None:
    """Run them all."""
    torch.set_num_threads(1)
    for seed, task, bonus in itertools.product(options.seeds, options.tasks, options.bonuses):
        print(json.dumps(run(options, task, bonus, seed)), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
