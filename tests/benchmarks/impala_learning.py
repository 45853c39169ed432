"""What IMPALA and Stable-Baselines3's PPO have learned after the same number of steps.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.impala_learning [--tasks cartpole catch recall]`

The score is the mean of 200 episodes with drawn actions after training; three seeds, median last.
IMPALA has one actor of 8 environments, PPO 8 environments and its stock settings. "recall" needs a
memory: IMPALA has an LSTM of 32, PPO is sb3-contrib's RecurrentPPO.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from tests.impala.tasks import LEARNED, MAKERS, score

ENVS, EPISODES = 8, 200


def ppo(task: str, steps: int, seed: int) -> float:
    envs = make_vec_env(MAKERS[task], n_envs=ENVS, seed=seed)
    stock: dict[str, Any] = {"device": "cpu", "seed": seed}
    if task == "recall":
        model: PPO | RecurrentPPO = RecurrentPPO("MlpLstmPolicy", envs, n_steps=128, **stock)
    else:
        model = PPO("MlpPolicy", envs, n_steps=256, **stock)
    model.learn(steps)
    scores, _ = evaluate_policy(
        model, envs, EPISODES, deterministic=False, return_episode_rewards=True
    )
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="*", default=list(LEARNED), choices=list(LEARNED))
    parser.add_argument("--trainers", nargs="*", default=["IMPALA", "PPO"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for task in options.tasks:
        steps, settings = LEARNED[task]
        for trainer in options.trainers:
            scores, began = [], time.perf_counter()
            for seed in range(options.seeds):
                learned = (
                    score(task, steps, seed, **settings)
                    if trainer == "IMPALA"
                    else ppo(task, steps, seed)
                )
                scores.append(learned)
                print(f"{task} {steps:,} {trainer} seed {seed}: {learned:.2f}", flush=True)
            seconds = time.perf_counter() - began
            print(f"{task} {steps:,} {trainer} median {median(scores):.2f}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
