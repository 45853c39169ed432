"""What sticky actions cost on AtariVectorEnv: `python -m tests.benchmarks.sticky_actions`."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import tyro
from ale_py import AtariVectorEnv
from gymnasium.vector import VectorEnv

from hxwrappers.vector import StickyActions


@dataclass
class Settings:
    """Bare and wrapped environments take turns, so that both see the same noise of the machine."""

    game: str = "montezuma_revenge"
    num_envs: int = 16
    rounds: int = 15
    steps: int = 100
    num_threads: int = 1


def seconds_a_step(env: VectorEnv, actions: np.ndarray) -> float:
    start = time.perf_counter()
    for batch in actions:
        env.step(batch)
    return (time.perf_counter() - start) / len(actions)


def main(settings: Settings) -> None:
    def make() -> VectorEnv:
        return AtariVectorEnv(
            settings.game, settings.num_envs, num_threads=settings.num_threads, noop_max=0
        )

    # With probability 0 both play the same frames, and every coin is still tossed.
    envs = {"bare": make(), "wrapped": StickyActions(make(), 0.0)}
    for env in envs.values():
        env.reset(seed=0)
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in envs}
    for turn in range(settings.rounds + 1):
        actions = rng.integers(0, 18, (settings.steps, settings.num_envs))
        for name in sorted(envs, reverse=turn % 2 == 1):
            seconds = seconds_a_step(envs[name], actions)
            if turn > 0:
                times[name].append(seconds)
    for name, values in times.items():
        median = statistics.median(values)
        low, high = np.percentile(values, [25, 75])
        print(
            f"{name:8s} median {1e3 * median:7.3f} ms a step of {settings.num_envs} environments "
            f"(quartiles {1e3 * low:.3f} to {1e3 * high:.3f}), {settings.num_envs / median:,.0f} "
            "steps a second"
        )
    ratios = np.divide(times["wrapped"], times["bare"])
    low, high = np.percentile(ratios, [25, 75])
    print(
        f"wrapped / bare: median of paired rounds {np.median(ratios):.4f} "
        f"(quartiles {low:.4f} to {high:.4f})"
    )


if __name__ == "__main__":
    main(tyro.cli(Settings))
