"""Learning on MiniGrid with the bonuses of RLeXplore and of this library, on the same PPO.

    pip install --no-deps --target PATH rllte-core==1.0.1
    python -m tests.benchmarks.minigrid_peers --rlexplore PATH

Tasks, observations, PPO and its network are those of `tests.benchmarks.minigrid_learning`.
RLeXplore's `RND` is used as it is, with its defaults, in the two ways in which its examples use it:

- with Stable-Baselines3: the bonus is added to the advantages and to the returns of a rollout;
- with CleanRL, and in its own agents: the bonus is added to the rewards before the advantages are
  estimated, here at the weight that this library's sum of rewards has, and at a tenth of it, since
  its bonuses are divided by the deviation of single ones and not of their discounted sum.

Before training it takes the moments of observations from 2,560 random steps of each environment,
which are not counted. What has run is not run again; `--rlexplore` may be left out to report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback

from hxwrappers.runs.plots import pyplot, save_figure
from tests.benchmarks import minigrid_learning as learning
from tests.benchmarks.aggregates import aggregate, aggregate_curves
from tests.benchmarks.page import put
from tests.benchmarks.rnd_rlexplore import rlexplore_class

PEERS: dict[str, tuple[str, float]] = {
    "rlexplore-advantages": ("advantages", 1.0),
    "rlexplore-rewards-0.1": ("rewards", learning.SUM_COEFFICIENT),
    "rlexplore-rewards-0.01": ("rewards", 0.01),
}
# The peer's pace in this library's model: its learning rate, and all samples of a minibatch.
PACE = {"learning_rate": 1e-3, "train_fraction": 1.0}
# This library's with other settings: the method that it is otherwise, and these.
OTHERS: dict[str, tuple[str, dict[str, float]]] = {
    "ppo+rnd-quick": ("ppo+rnd", PACE),
    "ppo+rnd-quick-0.3": ("ppo+rnd", {**PACE, "coefficient": 0.3}),
    "dual+rnd-quick": ("dual+rnd", PACE),
    "dual+rnd-64": ("dual+rnd", {"features": 64, "hidden": 64}),
    "dual+rnd-32": ("dual+rnd", {"features": 32, "hidden": 32}),
}
LABELS = {
    **learning.LABELS,
    "ppo+rnd-quick": "PPO on the sum with VecRNDBonus (0.1), at the peer's pace",
    "ppo+rnd-quick-0.3": "PPO on the sum with VecRNDBonus (0.3), at the peer's pace",
    "dual+rnd-quick": "DualValuePPO with VecRNDBonus, at the peer's pace",
    "dual+rnd-64": "DualValuePPO with VecRNDBonus, layers and features of 64",
    "dual+rnd-32": "DualValuePPO with VecRNDBonus, layers and features of 32",
    "rlexplore-advantages": "RLeXplore's RND, added to the advantages",
    "rlexplore-rewards-0.1": "RLeXplore's RND, a tenth, added to the rewards",
    "rlexplore-rewards-0.01": "RLeXplore's RND, a hundredth, added to the rewards",
}


@dataclass(frozen=True)
class Options(learning.Options):
    """What to run, and where RLeXplore is."""

    methods: tuple[str, ...] = (*learning.METHODS, *OTHERS, *PEERS)
    steps: int = 400_000
    rlexplore: Path | None = None
    folder: Path = Path("runs/minigrid_peers")
    picture: Path = field(default=Path("docs/images/minigrid_peers.png"))
    page: Path | None = None


class Bonus(BaseCallback):
    """Adds the peer's bonus to a rollout, in one of the ways of its examples."""

    def __init__(self, bonus: Any, added_to: str) -> None:
        super().__init__()
        self._bonus, self._added_to = bonus, added_to

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, PPO)
        buffer: RolloutBuffer = self.model.rollout_buffer
        seen = torch.from_numpy(buffer.observations).float()
        last = torch.from_numpy(np.asarray(self.locals["new_obs"])).float()
        samples = {
            "observations": seen,
            "next_observations": torch.cat([seen[1:], last[None]]),
            "actions": torch.from_numpy(buffer.actions),
            "rewards": torch.from_numpy(buffer.rewards),
            "terminateds": torch.from_numpy(buffer.episode_starts),
            "truncateds": torch.from_numpy(buffer.episode_starts),
        }
        bonuses = self._bonus.compute(samples, sync=True).numpy()
        if self._added_to == "advantages":
            buffer.advantages += bonuses
            buffer.returns += bonuses
        else:
            buffer.rewards += bonuses
            buffer.compute_returns_and_advantage(self.locals["values"], self.locals["dones"])


def run(options: Options, task: str, method: str, seed: int) -> None:
    """Train once, unless it was done before."""
    if method in learning.LABELS:
        learning.run(options, task, method, seed)
        return
    path = learning.curve_path(options, task, method, seed)
    if path.exists():
        return
    if method in OTHERS:
        like, settings = OTHERS[method]
        learning.train(path, options, task, like, seed, **settings)
        return
    assert options.rlexplore is not None, "give --rlexplore"
    kind = rlexplore_class(options.rlexplore)
    venv = learning.environments(options, task, seed)
    venv.action_space.seed(seed)
    torch.manual_seed(seed)
    added_to, weight = PEERS[method]
    callback = Bonus(kind(venv, beta=weight), added_to)
    model = PPO("MlpPolicy", venv, seed=seed, **learning.PPO_SETTINGS)
    learning.keep_curve(path, model, options.steps, [callback])


def report(
    options: learning.Options, labels: Mapping[str, str]
) -> tuple[list[str], list[list[str]]]:
    """Tell when each run first succeeded, and interquartile means over all runs of all tasks; draw
    those of each task.

    Args:
        options: What was run.
        labels: What each method is called.

    Returns:
        The header and the rows of a table.
    """
    plt: Any = pyplot()
    count = len(options.tasks)
    figure, axes = plt.subplots(1, count, figsize=(5.5 * count, 4.2), squeeze=False, sharey=True)
    rows = []
    for method in options.methods:
        points = [
            [
                json.loads(learning.curve_path(options, task, method, seed).read_text())["points"]
                for seed in options.seeds
            ]
            for task in options.tasks
        ]
        shares = [np.array(runs)[:, :, 1] for runs in points]
        first = [[learning.first_success(run) for run in runs] for runs in points]
        rows.append(
            [
                labels[method],
                *(", ".join("never" if at is None else f"{at:,}" for at in each) for each in first),
                mean_of(shares),
                mean_of([each[:, -each.shape[1] // 5 :] for each in shares]),
            ]
        )
        for axis, task, runs, share in zip(axes[0], options.tasks, points, shares, strict=True):
            mean, low, high = aggregate_curves([share])
            steps = [step for step, _ in runs[0]]
            (line,) = axis.plot(steps, mean, label=labels[method])
            axis.fill_between(steps, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
            axis.set(title=f"{task}, fixed level", xlabel="environment steps", ylim=(-0.02, 1.02))
    for axis in axes[0]:
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("success, interquartile mean of seeds")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncols=2, fontsize=8)
    save_figure(figure, options.picture, (0, 0.2, 1, 1))
    print(f"curves: {options.picture}")
    header = ["steps until 80 of 100 succeed, by seed", *options.tasks]
    header += ["success, mean over all steps", "over the last fifth"]
    return header, rows


def mean_of(shares: Sequence[npt.NDArray[np.float64]]) -> str:
    """The interquartile mean of the runs' means, and its interval."""
    found = aggregate([share.mean(axis=1) for share in shares])
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def main() -> None:
    """Run what is missing, then report."""
    options = tyro.cli(Options)
    learning.run_all(options, run)
    put(options.page, "minigrid_peers", *report(options, LABELS))


if __name__ == "__main__":
    main()
