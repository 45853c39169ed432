"""Learning from pictures beside CleanRL's RND and the reference agent of CND, all as they are.

    python -m tests.benchmarks.picture_peers --cleanrl PATH --reference PATH

The paths are checkouts of github.com/vwxyzjn/cleanrl (fe8d8a0) and of
github.com/michalnand/reinforcement_learning_agents (983434b0). Their agents take pictures of Atari,
so MiniGrid is drawn as such (`grid_pictures.py`): 84 x 84 pixels (`--side 84`), or 48 x 48, which
take a quarter of the time and less; the convolutions are the same, and CleanRL's script has the
figures of its sizes replaced. Everybody has 32 environments, rollouts of 64 steps, 4 passes in
minibatches of 256 and a learning rate of 3e-4; whatever else differs is as published, or as each
has it by default. What has run is not run again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from hxwrappers._utils.devices import keep_freed_memory
from hxwrappers.sb3 import DualValuePPO, VecCNDBonus, VecRNDBonus
from tests.benchmarks import minigrid_learning as learning
from tests.benchmarks.grid_pictures import make_pictures
from tests.benchmarks.minigrid_peers import report
from tests.benchmarks.page import put
from tests.benchmarks.peer_agents import Training, run_cleanrl, run_cnd_reference

ENVS, ROLLOUT, MINIBATCH, RATE = 32, 64, 256, 3e-4
LABELS = {
    "ppo": "PPO alone",
    "cleanrl": "CleanRL's PPO with RND",
    "dual+rnd": "DualValuePPO with VecRNDBonus",
    "dual+rnd-raw": "DualValuePPO with VecRNDBonus, as published",
    "reference": "reference agent of CND",
    "dual+cnd": "DualValuePPO with VecCNDBonus",
    "dual+cnd-raw": "DualValuePPO with VecCNDBonus, as published",
}


@dataclass(frozen=True)
class Options(learning.Options):
    """What to run, and where the peers are."""

    tasks: tuple[str, ...] = ("MultiRoom-N4-S5",)
    methods: tuple[str, ...] = tuple(LABELS)
    steps: int = 49 * ENVS * ROLLOUT
    side: int = 48
    cleanrl: Path | None = None
    reference: Path | None = None
    folder: Path = Path("runs/picture_peers")
    picture: Path = field(default=Path("docs/images/picture_peers.png"))
    page: Path | None = None


def run(options: Options, task: str, method: str, seed: int) -> None:
    """Train once, unless it was done before."""
    path = learning.curve_path(options, task, method, seed)
    if path.exists():
        return
    keep_freed_memory()
    torch.set_num_threads(1)
    make = partial(make_pictures, task, options.level_seed, options.side)
    if method in {"cleanrl", "reference"}:
        agent = run_cleanrl if method == "cleanrl" else run_cnd_reference
        folder = options.cleanrl if method == "cleanrl" else options.reference
        assert folder is not None, f"give --{method}"
        minibatches = ENVS * ROLLOUT // MINIBATCH
        sizes = (ENVS, ROLLOUT, options.steps, minibatches)
        agent(folder, path, Training(make, seed, *sizes, RATE, options.side))
        return
    venv: VecEnv = VecMonitor(DummyVecEnv([make] * ENVS))
    venv.seed(1000 * seed)
    settings: dict[str, Any] = {
        "seed": seed,
        "learning_rate": RATE,
        "n_steps": ROLLOUT,
        "batch_size": MINIBATCH,
        "n_epochs": 4,
        "device": "cpu",
    }
    if method == "ppo":
        settings |= {"gamma": 0.999, "clip_range": 0.1, "ent_coef": 0.001}
        model: PPO = PPO("CnnPolicy", venv, **settings)
    else:
        settings["normalize_advantage"] = not method.endswith("-raw")
        if "cnd" in method:
            settings["gamma"] = 0.998
            venv = VecCNDBonus(venv, seed=seed, learning_rate=RATE, batch_size=MINIBATCH)
        else:
            venv = VecRNDBonus(venv, seed=seed, learning_rate=RATE, batch_size=MINIBATCH)
        model = DualValuePPO("CnnPolicy", venv, **settings)
    learning.keep_curve(path, model, options.steps)


def main() -> None:
    """Run what is missing, then report."""
    options = tyro.cli(Options)
    learning.run_all(options, run)
    put(options.page, "picture_peers", *report(options, LABELS))


if __name__ == "__main__":
    main()
