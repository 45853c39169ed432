"""What share of the wall time of `examples/montezuma_cnd.py` its bonus takes.

    python -m tests.benchmarks.bonus_share

Also: what a frozen bonus costs over the forward passes of its two networks.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro
from stable_baselines3.common.logger import Logger

from examples.montezuma_cnd import Options, build
from hxwrappers.novelty import CNDModel


@dataclass(frozen=True)
class Settings:
    """How long to measure."""

    rollouts: int = 4
    threads: int = 2


def training_share(settings: Settings) -> None:
    model = build(Options())
    model.set_logger(Logger(None, []))
    envs: Any = model.env
    novelty = envs.venv.model
    spent = [0.0]
    observe = novelty.observe

    def timed(*arguments: Any) -> np.ndarray:
        start = time.perf_counter()
        bonuses = observe(*arguments)
        spent[0] += time.perf_counter() - start
        return bonuses

    novelty.observe = timed
    rollout = model.n_steps * model.n_envs
    while novelty.updates < 1:
        model.learn(1, reset_num_timesteps=False)
    shares, speeds = [], []
    for _ in range(settings.rollouts):
        spent[0] = 0.0
        start = time.perf_counter()
        model.learn(1, reset_num_timesteps=False)
        total = time.perf_counter() - start
        shares.append(spent[0] / total)
        speeds.append(rollout / total)
    print(
        f"bonus: {statistics.median(shares):.1%} of the wall time (from {min(shares):.1%} to "
        f"{max(shares):.1%}), {statistics.median(speeds):.0f} steps a second in all"
    )


def frozen_cost(settings: Settings) -> None:
    model = CNDModel(build(Options()).observation_space, seed=0, device="cpu")
    streams = model.open_streams(8)
    model.training = False
    observations = np.random.default_rng(0).integers(0, 256, (8, 4, 96, 96)).astype(np.uint8)
    inputs = model._normalize(model.layout.frames(observations, model.device))
    ratios = []
    for turn in range(20 * settings.rollouts):
        start = time.perf_counter()
        with torch.inference_mode():
            model.target(inputs), model.predictor(inputs)
        middle = time.perf_counter()
        model.observe(observations, streams)
        end = time.perf_counter()
        if turn > 5:
            ratios.append((end - middle) / (middle - start))
    print(f"frozen bonus: {statistics.median(ratios):.2f} times its two forward passes, 8 frames")


def main() -> None:
    settings = tyro.cli(Settings)
    torch.set_num_threads(settings.threads)
    frozen_cost(settings)
    training_share(settings)


if __name__ == "__main__":
    main()
