"""RNDModel against the random network distillation of RLeXplore, in turns on one machine.

    pip install --no-deps --target PATH rllte-core==1.0.1
    python -m tests.benchmarks.rnd_rlexplore --rlexplore PATH

Its own `RND` is used as it is, `compute` to score and `update` to train; of its package only the
modules that this needs are loaded, and instead of the 2,560 steps of environments from which it
takes its first moments it gets the batch. Its observations are floating-point numbers already,
since it refuses others; its scoring also takes their moments, which cannot be turned off. Both
score the observations of one step of all environments, and train on a minibatch.

The same work: all four frames of an observation, as RLeXplore looks at them, as many features, and
as many samples trained on. Two differences are left: `RNDModel` has the two further layers of the
predictor in the paper, and RLeXplore draws its samples with a mask, after the forward pass.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from gymnasium import spaces

from hxwrappers.novelty import RNDModel
from tests.benchmarks.page import put
from tests.benchmarks.turns import Measuring, in_turns, ratios, report

SPACE = spaces.Box(0, 255, (4, 84, 84), np.uint8)
PRECISIONS = ("float32", "bfloat16")
Steps = dict[str, Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class Options(Measuring):
    """How to measure, and where RLeXplore is."""

    rlexplore: Path


def rlexplore_class(folder: Path) -> Any:
    """RLeXplore's class; its packages also import loggers, agents and drivers of GPUs."""
    sys.path.insert(0, str(folder))
    for name in ("rllte.common", "rllte.common.prototype", "rllte.xplore.reward"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    prototype: Any = sys.modules["rllte.common.prototype"]
    prototype.BaseReward = importlib.import_module(f"{prototype.__name__}.base_reward").BaseReward
    return importlib.import_module("rllte.xplore.reward.rnd").RND


def theirs(
    kind: Any, seen: np.ndarray, batch: np.ndarray, **settings: Any
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Scoring and training as RLeXplore does them."""

    class Distillation(kind):  # type: ignore[misc]
        def init_normalization(self) -> None:
            self.obs_norm.update(torch.from_numpy(batch).float())

    envs = types.SimpleNamespace(
        observation_space=SPACE,
        action_space=spaces.Discrete(18),
        unwrapped=types.SimpleNamespace(num_envs=len(seen)),
    )
    model = Distillation(envs, batch_size=len(batch), **settings)

    def samples(observations: np.ndarray) -> dict[str, torch.Tensor]:
        part = torch.from_numpy(observations).float()[None]
        empty = torch.zeros(1, len(observations))
        names = ("actions", "rewards", "terminateds", "truncateds")
        return {
            "observations": part,
            "next_observations": part,
            **dict.fromkeys(names, empty),
        }

    scored, trained = samples(seen), samples(batch)
    return lambda: model.compute(scored, sync=False), lambda: model.update(trained)


def ours(
    seen: np.ndarray, batch: np.ndarray, **settings: Any
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Scoring and training with `RNDModel`."""
    model = RNDModel(SPACE, seed=0, device="cpu", batch_size=len(batch), **settings)
    model.update(batch)
    return lambda: model.score(seen), lambda: model.update(batch)


def compare(
    title: str,
    reference: dict[str, Any],
    settings: dict[str, Any],
    options: Options,
    kind: Any,
) -> list[list[str]]:
    """Print how fast both score and train, with settings of their own; get rows of the table."""
    generator = np.random.default_rng(0)
    seen, batch = (
        generator.integers(0, 256, (number, *SPACE.shape)).astype(np.uint8)
        for number in (options.num_envs, options.minibatch)
    )
    scores: Steps = {}
    trainings: Steps = {}
    scores["RLeXplore"], trainings["RLeXplore"] = theirs(kind, seen, batch, **reference)
    for precision in PRECISIONS:
        name = f"RNDModel, {precision}"
        scores[name], trainings[name] = ours(seen, batch, precision=precision, **settings)
    rows = []
    for what, steps, samples in (("score", scores, len(seen)), ("train on", trainings, len(batch))):
        print(f"\n{title}: {what} {samples}", flush=True)
        times = in_turns(steps, options.rounds)
        report(times, samples, "RLeXplore")
        rows.append([f"{title}: {what} {samples}", *ratios(times, samples, "RLeXplore")])
    return rows


def main() -> None:
    options = tyro.cli(Options)
    torch.set_num_threads(options.threads)
    kind = rlexplore_class(options.rlexplore)
    work: dict[str, Any] = {"newest_channels": 4, "train_fraction": 1.0}
    rows = []
    for features in (512, 128):
        title = f"the same work, {features} features, all samples"
        settings = {**work, "features": features}
        rows += compare(title, {"latent_dim": features}, settings, options, kind)
    title = "512 features, a quarter of the samples"
    settings = {**work, "train_fraction": 0.25}
    reference = {"latent_dim": 512, "update_proportion": 0.25}
    rows += compare(title, reference, settings, options, kind)
    rows += compare("each with its defaults", {}, {}, options, kind)
    header = ["", "RLeXplore, samples/s", *(f"`RNDModel`, {kind}" for kind in PRECISIONS)]
    put(options.page, "rnd_rlexplore", header, rows)


if __name__ == "__main__":
    main()
