"""What a bonus on small observations costs: PPO on CartPole, and a loop over MiniGrid.

    python -m tests.benchmarks.small_observations [--rounds 7]

Both with 4 environments, without and with `VecRNDBonus`, in turns; and the bonus with nets as wide
as for images. Ratios are times, of medians by the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from hxwrappers.envs import make_minigrid
from hxwrappers.novelty import NoveltySettings
from hxwrappers.sb3 import VecRNDBonus
from tests.benchmarks.turns import in_turns

SETTINGS: NoveltySettings = {"seed": 0, "device": "cpu"}
WIDE: NoveltySettings = {**SETTINGS, "features": 512, "hidden": 256}


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        rounds: Rounds of each, in turns.
        steps: Steps of a round, of all environments together.
        threads: Those of PyTorch.
    """

    rounds: int = 7
    steps: int = 4096
    threads: int = 1


def ppo(around: Callable[[VecEnv], VecEnv], steps: int) -> Callable[[], object]:
    """PPO with Stable-Baselines3's settings, but for rollouts that a round has several of."""
    venv = around(make_vec_env("CartPole-v1", n_envs=4, seed=0))
    model = PPO("MlpPolicy", venv, n_steps=256, seed=0, device="cpu")
    return lambda: model.learn(steps, reset_num_timesteps=False)


def loop(around: Callable[[VecEnv], VecEnv], steps: int) -> Callable[[], object]:
    """Random actions in MiniGrid, as a user's own loop has them."""
    venv = around(DummyVecEnv([partial(make_minigrid, "DoorKey-8x8")] * 4))
    venv.seed(0)
    venv.reset()
    actions = np.random.default_rng(0)

    def play() -> None:
        for _ in range(steps // 4):
            venv.step(actions.integers(0, 7, 4))

    return play


def main() -> None:
    """Print how many times as long each takes with a bonus."""
    options = tyro.cli(Options)
    torch.set_num_threads(options.threads)
    kinds: dict[str, Callable[[VecEnv], Any]] = {
        "without": lambda venv: venv,
        "with": partial(VecRNDBonus, **SETTINGS),
        "with wide nets": partial(VecRNDBonus, **WIDE),
    }
    for name, make in (("PPO on CartPole", ppo), ("a loop over MiniGrid", loop)):
        times = in_turns(
            {kind: make(around, options.steps) for kind, around in kinds.items()}, options.rounds
        )
        without = np.array(times["without"]["wall"])
        print(f"{name}: {1e6 * np.median(without) / options.steps:.0f} µs a step without")
        for kind in list(kinds)[1:]:
            ratios = np.array(times[kind]["wall"]) / without
            low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
            print(f"    {kind}: {middle:.2f} times ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
