"""Learning curves on MiniGrid: PPO alone, with a bonus in its reward, and with two value heads.

    python -m tests.benchmarks.minigrid_learning --tasks MultiRoom-N6 KeyCorridorS4R3

Every run writes a curve to `runs/minigrid/`, and is skipped where that is there already. At the end
a table of medians over seeds is printed and the curves are drawn.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import tyro
from gymnasium.wrappers import FlattenObservation
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from hxwrappers.envs.minigrid import make_minigrid
from hxwrappers.sb3 import DualValuePPO, VecCNDBonus, VecRNDBonus

METHODS = ("ppo", "ppo+rnd", "dual+rnd", "dual+cnd")
LABELS = {
    "ppo": "PPO alone",
    "ppo+rnd": "PPO on the sum with VecRNDBonus",
    "dual+rnd": "DualValuePPO with VecRNDBonus",
    "dual+cnd": "DualValuePPO with VecCNDBonus",
    "dual+rnd-raw": "DualValuePPO with VecRNDBonus, advantages as they are",
    "dual+cnd-raw": "DualValuePPO with VecCNDBonus, advantages as they are",
}
PPO_SETTINGS: dict[str, Any] = {
    "policy_kwargs": {"net_arch": {"pi": [128, 128], "vf": [128, 128]}},
    "learning_rate": 3e-4,
    "n_steps": 128,
    "batch_size": 256,
    "n_epochs": 4,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.01,
    "normalize_advantage": True,
    "device": "cpu",
}
# Where one value function sees the sum, reaching the goal ends the bonus of the episode as well:
# the bonus must be small against the goal's reward (about 0.2 here), or avoiding it pays.
SUM_COEFFICIENT = 0.1
BONUS_SETTINGS: dict[str, Any] = {"features": 128, "hidden": 128, "batch_size": 256}


@dataclass(frozen=True)
class Options:
    """What to run."""

    tasks: tuple[str, ...] = ("MultiRoom-N6", "KeyCorridorS4R3")
    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 600_000
    level_seed: int = 0
    num_envs: int = 16
    processes: int = 2
    folder: Path = Path("runs/minigrid")
    picture: Path = field(default=Path("docs/images/minigrid.png"))


class Curve(BaseCallback):
    """Keeps the share of successes at the end of each rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.recent: deque[bool] = deque(maxlen=100)
        self.points: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.recent.append(info["episode"]["r"] > 0)
        return True

    def _on_rollout_end(self) -> None:
        share = sum(self.recent) / len(self.recent) if self.recent else 0.0
        self.points.append((self.num_timesteps, share))


def environments(options: Options, task: str, seed: int) -> VecEnv:
    """The task's environments, without a bonus; observations are flat, as all networks are."""
    torch.set_num_threads(1)

    def make() -> FlattenObservation[Any, Any, Any]:
        return FlattenObservation(make_minigrid(task, level_seed=options.level_seed))

    venv: VecEnv = VecMonitor(DummyVecEnv([make] * options.num_envs))
    venv.seed(1000 * seed)
    return venv


def keep_curve(
    path: Path, model: BaseAlgorithm, steps: int, callbacks: Sequence[BaseCallback] = ()
) -> None:
    """Train, and write the curve of success over the last 100 episodes."""
    curve = Curve()
    start = time.time()
    model.learn(steps, callback=[curve, *callbacks])
    document = {"points": curve.points, "seconds": time.time() - start}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    print(f"{path.stem:36}: {curve.points[-1][1]:.2f}", flush=True)


def curve_path(options: Options, task: str, method: str, seed: int) -> Path:
    return options.folder / f"{task}_{method}_{seed}.json"


def run(options: Options, task: str, method: str, seed: int) -> None:
    """Train once, unless it was done before."""
    path = curve_path(options, task, method, seed)
    if not path.exists():
        train(path, options, task, method, seed)


def train(
    path: Path, options: Options, task: str, method: str, seed: int, **settings: float
) -> None:
    """Train, with other settings of the bonus where they are given, and write the curve."""
    venv = environments(options, task, seed)
    ppo = PPO_SETTINGS | {"normalize_advantage": not method.endswith("-raw")}
    method = method.removesuffix("-raw")
    if method.endswith("rnd"):
        coefficient = SUM_COEFFICIENT if method.startswith("ppo") else 1.0
        bonus = {"coefficient": coefficient} | BONUS_SETTINGS | settings
        venv = VecRNDBonus(venv, seed=seed, **bonus)
    elif method.endswith("cnd"):
        venv = VecCNDBonus(venv, seed=seed, **BONUS_SETTINGS | settings)
    algorithm = DualValuePPO if method.startswith("dual") else PPO
    keep_curve(path, algorithm("MlpPolicy", venv, seed=seed, **ppo), options.steps)


def last_fifth(curve: list[tuple[int, float]]) -> float:
    """Mean success over the last fifth of a run."""
    return mean(share for _, share in curve[-len(curve) // 5 :])


def first_success(curve: list[tuple[int, float]]) -> int | None:
    """Steps after which 80 of 100 episodes first succeeded."""
    return next((steps for steps, share in curve if share >= 0.8), None)


def report(options: Options) -> None:
    """Print the table, and draw the curves."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(
        1, len(options.tasks), figsize=(5.5 * len(options.tasks), 3.6), squeeze=False, sharey=True
    )
    print(f"\nShare of successes among 100 episodes, {options.steps:,} steps, level fixed: medians")
    for axis, task in zip(axes[0], options.tasks, strict=True):
        for method in options.methods:
            curves = [
                json.loads(curve_path(options, task, method, seed).read_text())["points"]
                for seed in options.seeds
            ]
            ends = [curve[-1][1] for curve in curves]
            print(
                f"{task:16} {LABELS[method]:34} end {median(ends):.2f} {ends}  "
                f"last fifth {median(map(last_fifth, curves)):.2f}  "
                f"80 % first at {[first_success(curve) for curve in curves]}"
            )
            steps = [point[0] for point in curves[0]]
            shares = list(zip(*([point[1] for point in curve] for curve in curves), strict=True))
            (line,) = axis.plot(steps, [median(share) for share in shares], label=LABELS[method])
            axis.fill_between(
                steps,
                [min(share) for share in shares],
                [max(share) for share in shares],
                color=line.get_color(),
                alpha=0.15,
                linewidth=0,
            )
        axis.set(title=f"{task}, fixed level", xlabel="environment steps", ylim=(-0.02, 1.02))
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("success, median of seeds")
    axes[0][-1].legend(fontsize=8, loc="center right")
    figure.tight_layout()
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.picture, dpi=130)
    print(f"curves: {options.picture}")


def run_all(options: Options, run: Callable[[Any, str, str, int], None]) -> None:
    """Train every method on every task with every seed, each in a process of its own."""
    jobs = [
        (options, task, method, seed)
        for seed in options.seeds
        for task in options.tasks
        for method in options.methods
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.processes, maxtasksperchild=1) as pool:
        pool.starmap(run, jobs, chunksize=1)


def main() -> None:
    """Run what is missing, then report."""
    options = tyro.cli(Options)
    run_all(options, run)
    report(options)


if __name__ == "__main__":
    main()
