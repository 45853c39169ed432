"""What a curriculum costs: steps a second against the bare environment, and the time of a reset.

    python -m tests.benchmarks.curriculum_cost --demo path/of/MontezumaRevenge.demo

Both environments play the same actions from the same states: the bare one plays an episode from the
reset, the other one the same frames with the curriculum's start fixed at step 0. The time of resets
is measured at random steps of a long demonstration, where one is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import gymnasium as gym
import numpy as np
import tyro

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.demos import Demo, shipped
from hxwrappers.demos.openai import import_openai_demo
from hxwrappers.envs import make_atari


@dataclass(frozen=True)
class Options:
    """What to measure."""

    rounds: int = 15
    steps: int = 1000
    resets: int = 500
    demo: Path | None = None


def steps_per_second(env: gym.Env[Any, Any], steps: int, seed: int) -> float:
    """Steps a second of processor time, with the shipped demonstration's own actions."""
    actions = shipped("montezuma-long").actions[::4]
    env.reset(seed=seed, options={"starting_point": 0} if _curriculum(env) else None)
    start = time.process_time()
    for index in range(steps):
        _, _, terminated, truncated, _ = env.step(int(actions[index % len(actions)]))
        if terminated or truncated:
            env.reset(options={"starting_point": 0} if _curriculum(env) else None)
    return steps / (time.process_time() - start)


def _curriculum(env: gym.Env[Any, Any]) -> bool:
    return env.has_wrapper_attr("tracker")


def curriculum_of(demo: Demo) -> Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]:
    """The wrapper, with a tracker of its own."""
    tracker = SuccessTracker(demo, FrontierSettings(), LocalStore())
    return partial(DemoResetCurriculum, demo=demo, tracker=tracker)


def main() -> None:
    """Measure, and print ratios."""
    options = tyro.cli(Options)
    demo = shipped("montezuma-long")
    bare = make_atari("montezuma_revenge")
    wrapped = make_atari("montezuma_revenge", frame_wrapper=curriculum_of(demo))
    for env in (bare, wrapped):
        steps_per_second(env, 100, 0)
    ratios, speeds = [], []
    for index in range(options.rounds):
        # In turn first, so that a drift of the machine favours neither.
        order = (bare, wrapped) if index % 2 else (wrapped, bare)
        speed = {id(env): steps_per_second(env, options.steps, index) for env in order}
        ratios.append(speed[id(wrapped)] / speed[id(bare)])
        speeds.append(speed[id(bare)])
    low, _, high = quantiles(ratios, n=4)
    print(
        f"steps a second with the curriculum / without: {median(ratios):.3f} "
        f"(quartiles {low:.3f} to {high:.3f}), bare {median(speeds):,.0f}"
    )
    long = demo if options.demo is None else import_openai_demo(options.demo)
    env = make_atari("montezuma_revenge", frame_wrapper=curriculum_of(long))
    env.reset(seed=0)
    latest = env.get_wrapper_attr("tracker").latest[0]
    generator = np.random.default_rng(0)
    times = []
    for _ in range(options.resets):
        point = {"starting_point": int(generator.integers(latest))}
        start = time.perf_counter()
        env.reset(options=point)
        times.append(1000 * (time.perf_counter() - start))
    print(
        f"reset at a random one of {len(long):,} steps: median {median(times):.1f} ms, "
        f"95 % within {np.quantile(times, 0.95):.1f} ms"
    )


if __name__ == "__main__":
    main()
