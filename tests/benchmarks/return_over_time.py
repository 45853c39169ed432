"""What IMPALA and Stable-Baselines3's PPO have learned after as much time on as many cores.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.return_over_time

Both train for so many seconds of the clock on the small tasks of `tests.impala.tasks`, with the
settings of `tests.benchmarks.impala_learning`: IMPALA with one actor of eight environments and a
learner, for the steps over which its learning rate falls to zero, PPO with eight environments and
its stock settings, all in one process. Their returns are means of the last 100 training episodes.
What has run is not run again.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from hxwrappers.impala import Impala
from hxwrappers.runs.plots import pyplot, save_figure
from tests.benchmarks.page import put
from tests.impala.tasks import LEARNED, MAKERS, make_tasks, settings_for

Curve = list[tuple[float, float]]
"""Seconds, and the return."""

ENVS, ENDLESS = 8, 10**9
GOALS = {"cartpole": 400.0, "catch": 0.9}


@dataclass(frozen=True)
class Options:
    """What to run."""

    tasks: tuple[str, ...] = tuple(GOALS)
    seeds: tuple[int, ...] = (0, 1, 2)
    seconds: float = 60.0
    folder: Path = Path("runs/return_over_time")
    picture: Path = field(default=Path("docs/images/return_over_time.png"))
    page: Path | None = None


def ours(task: str, seed: int, seconds: float) -> Curve:
    steps, chosen = LEARNED[task]
    settings = settings_for(seed, log_every=0.5, **chosen)
    run = Impala(partial(make_tasks, task, settings.envs_per_actor), settings)
    # A signal is how a run is ended in good order.
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    began = time.perf_counter()
    log = run.train(steps, progress=False)
    # Its processes' start and end count; its own clock begins when they are there.
    beside = time.perf_counter() - began - log.seconds
    name = "rollout/episode_return"
    return [(beside + row["time/seconds"], row[name]) for row in log.rows if name in row]


class Watch(BaseCallback):
    """Keeps the curve, and ends the run when its time is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.curve: Curve = []
        self._seconds, self._began = seconds, time.perf_counter()

    def _on_step(self) -> bool:
        return time.perf_counter() - self._began < self._seconds

    def _on_rollout_end(self) -> None:
        infos = self.model.ep_info_buffer
        if infos:
            mean = float(np.mean([info["r"] for info in infos]))
            self.curve.append((time.perf_counter() - self._began, mean))


def theirs(task: str, seed: int, seconds: float) -> Curve:
    envs = make_vec_env(MAKERS[task], n_envs=ENVS, seed=seed)
    model = PPO("MlpPolicy", envs, n_steps=256, device="cpu", seed=seed)
    watch = Watch(seconds)
    model.learn(ENDLESS, callback=watch)
    return watch.curve


TRAINERS = {"IMPALA of this library": ours, "PPO of Stable-Baselines3": theirs}


def curve_of(options: Options, task: str, trainer: str, seed: int) -> Curve:
    """Train, unless it was done before."""
    path = options.folder / f"{task}-{trainer.split(maxsplit=1)[0].lower()}-{seed}.json"
    if not path.exists():
        curve = TRAINERS[trainer](task, seed, options.seconds)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(curve))
    return [(at, value) for at, value in json.loads(path.read_text())]


def told(seconds: float) -> str:
    return f"{seconds:.0f} s" if np.isfinite(seconds) else "not reached"


def main() -> None:
    """Run what is missing, in turns, then report."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    plt: Any = pyplot()
    figure, axes = plt.subplots(1, len(options.tasks), figsize=(10, 3.4), squeeze=False)
    rows = []
    for axis, task in zip(axes[0], options.tasks, strict=True):
        curves: dict[str, list[Curve]] = {name: [] for name in TRAINERS}
        for seed in options.seeds:
            for name, found in curves.items():
                found.append(curve_of(options, task, name, seed))
        for color, (name, found) in enumerate(curves.items()):
            arrived = [
                next((at for at, value in curve if value >= GOALS[task]), np.inf) for curve in found
            ]
            ends = [curve[-1][1] for curve in found]
            rows.append(
                [
                    f"{task}, {name}",
                    f"{GOALS[task]:g}",
                    f"{told(median(arrived))} ({', '.join(map(told, arrived))})",
                    f"{median(ends):.2f} ({', '.join(f'{end:.2f}' for end in ends)})",
                ]
            )
            for seed, curve in enumerate(found):
                label = None if seed else name
                axis.plot(*zip(*curve, strict=True), color=f"C{color}", label=label)
        axis.set(title=task, xlabel="seconds", ylabel="mean return of 100 episodes")
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    save_figure(figure, options.picture)
    header = ["", "goal", "time to the goal, median (seeds)"]
    header += [f"return at the end, at most {options.seconds:g} s, median (seeds)"]
    put(options.page, "return_over_time", header, rows)


if __name__ == "__main__":
    main()
