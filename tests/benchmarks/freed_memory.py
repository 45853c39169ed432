"""What `keep_freed_memory` brings: training with it and without, in turns.

    python -m tests.benchmarks.freed_memory --rounds 5 --page docs/benchmarks.md

Every measurement is a process of its own, since the setting is for good. Times are those of
training alone; the first rollout and its updates are left out.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from examples import montezuma_cnd
from hxwrappers._utils.devices import keep_freed_memory
from hxwrappers.envs import make_atari
from hxwrappers.sb3 import DualValuePPO, VecRNDBonus, from_vector_env
from tests.benchmarks.page import put, spread

Measured = dict[str, float]


@dataclass(frozen=True)
class Options:
    """How to measure."""

    rounds: int = 5
    rollouts: int = 2
    threads: int = 1
    page: Path | None = None


def _games() -> Any:
    return from_vector_env(make_atari("montezuma_revenge", num_envs=8))


def _ppo() -> BaseAlgorithm:
    return PPO("CnnPolicy", _games(), n_steps=128, batch_size=512, n_epochs=4, device="cpu")


def _rnd() -> BaseAlgorithm:
    return DualValuePPO("CnnPolicy", VecRNDBonus(_games(), device="cpu"), device="cpu")


def _cnd() -> BaseAlgorithm:
    return montezuma_cnd.build(montezuma_cnd.Options(device="cpu"))


TRAINED: dict[str, Callable[[], BaseAlgorithm]] = {
    "PPO of Stable-Baselines3, no bonus": _ppo,
    "`DualValuePPO` with `VecRNDBonus`": _rnd,
    "`examples/montezuma_cnd.py`": _cnd,
}


def measure(name: str, keep: bool, options: Options) -> Measured:
    """Train, and tell what it took."""
    if keep:
        keep_freed_memory()
    torch.set_num_threads(options.threads)
    model = TRAINED[name]()
    model.learn(1)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    model.learn(options.rollouts * 128 * 8, reset_num_timesteps=False)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return {
        "wall": seconds,
        "cpu": after.ru_utime - before.ru_utime + system,
        "system": system,
        "peak": after.ru_maxrss / 1024,
    }


def main() -> None:
    """Measure in turns, and print the table."""
    options = tyro.cli(Options)
    context = multiprocessing.get_context("spawn")
    rows = []
    for name in TRAINED:
        found: dict[bool, list[Measured]] = {False: [], True: []}
        for turn in range(options.rounds):
            for keep in (False, True) if turn % 2 else (True, False):
                with context.Pool(1) as pool:
                    found[keep].append(pool.apply(measure, (name, keep, options)))
        usual, kept = found[False], found[True]
        pairs = list(zip(usual, kept, strict=True))
        rows.append(
            [
                name,
                *(
                    spread((one[clock] / other[clock] for one, other in pairs), ".2f", " times")
                    for clock in ("wall", "cpu")
                ),
                spread((one["system"] / one["cpu"] for one in usual), ".1%"),
                spread((one["system"] / one["cpu"] for one in kept), ".1%"),
                spread((one["peak"] for one in usual), ".0f"),
                spread((one["peak"] for one in kept), ".0f"),
            ]
        )
    header = ["training", "as fast, wall time", "as fast, processor time"]
    header += ["share of the system's time, usual", "kept", "peak in MB, usual", "kept"]
    put(options.page, "freed_memory", header, rows)


if __name__ == "__main__":
    main()
