"""DQN and SAC without a bonus, with one that is stored, and with one that is scored when sampled.

    python -m tests.benchmarks.replay_bonus --task mountain-car
    python -m tests.benchmarks.replay_bonus --task mountain-car-continuous

Both tasks pay nothing on the way to the goal: MountainCar takes 1 for each step, and its continuous
form takes a little for each action and gives 100 at the goal. Each line is a run: the step at which
the goal was first reached, how many episodes reached it, and the mean return without bonus of the
last fifth of the steps and of 20 episodes that the final policy plays without noise.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import tyro
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from hxwrappers.sb3 import BonusReplayBuffer, VecRNDBonus

Task = Literal["mountain-car", "mountain-car-continuous"]
Bonus = Literal["none", "stored", "sampled"]
SMALL = {"policy_kwargs": {"net_arch": [64, 64]}, "device": "cpu", "batch_size": 128}
TASKS: dict[Task, tuple[str, Any, int, dict[str, Any]]] = {
    "mountain-car": (
        "MountainCar-v0",
        DQN,
        30_000,
        {
            "learning_rate": 4e-3,
            "gamma": 0.98,
            "buffer_size": 50_000,
            "learning_starts": 1000,
            "target_update_interval": 600,
            "train_freq": 16,
            "gradient_steps": 4,
            "exploration_fraction": 0.2,
            "exploration_final_eps": 0.07,
        },
    ),
    "mountain-car-continuous": (
        "MountainCarContinuous-v0",
        SAC,
        20_000,
        {"buffer_size": 50_000, "learning_starts": 1000, "train_freq": 32, "gradient_steps": 8},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run."""

    task: Task
    bonuses: tuple[Bonus, ...] = ("none", "stored", "sampled")
    seeds: tuple[int, ...] = (0, 1, 2)
    coefficient: float = 1.0
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


def run(options: Options, bonus: Bonus, seed: int) -> dict[str, Any]:
    """One training."""
    name, algorithm, steps, settings = TASKS[options.task]
    steps = options.steps or steps
    plain = make_vec_env(name, 1, seed=seed)
    envs = plain
    if bonus != "none":
        nets: dict[str, Any] = {
            "features": 64,
            "hidden": 64,
            "warmup_steps": 500,
            "device": "cpu",
            "seed": seed,
        }
        envs = VecRNDBonus(plain, coefficient=options.coefficient, **nets)
    buffer = {"replay_buffer_class": BonusReplayBuffer} if bonus == "sampled" else {}
    model = algorithm("MlpPolicy", envs, seed=seed, **SMALL, **settings, **buffer)
    if bonus == "sampled":
        model.replay_buffer.set_env(model.get_env())
    watch = Episodes()
    model.learn(steps, callback=watch)
    score, _ = evaluate_policy(model, make_vec_env(name, 1, seed=1000 + seed), 20)
    goals = [step for step, _, goal in watch.ended if goal]
    assert isinstance(score, float | np.floating)
    return {
        "bonus": bonus,
        "seed": seed,
        "first_goal": goals[0] if goals else None,
        "goals": len(goals),
        "episodes": len(watch.ended),
        "last_fifth": float(np.mean([r for step, r, _ in watch.ended if step > 0.8 * steps])),
        "played": float(score),
    }


def main(options: Options) -> None:
    """Run them all."""
    torch.set_num_threads(1)
    for seed, bonus in itertools.product(options.seeds, options.bonuses):
        print(json.dumps(run(options, bonus, seed)), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
