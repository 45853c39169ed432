"""RNDModel against the random network distillation of CleanRL, in turns on one machine.

    python -m tests.benchmarks.rnd_peers --cleanrl PATH

PATH is a checkout of github.com/vwxyzjn/cleanrl (fe8d8a0). Its own `RNDModel` is used, with what
its training script does around it: normalisation by running moments, a mask that keeps a quarter of
the errors, Adam. Both score the observations of one step of all environments, and train on a
minibatch.
"""

from __future__ import annotations

import importlib.util
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
from torch.nn import functional

from hxwrappers.novelty import RNDModel
from tests.benchmarks.page import put
from tests.benchmarks.turns import Measuring, in_turns, ratios, report

SHAPE = (4, 84, 84)
KEPT = 0.25


@dataclass(frozen=True, kw_only=True)
class Options(Measuring):
    """How to measure, and where CleanRL is."""

    cleanrl: Path


def cleanrl_module(folder: Path) -> Any:
    """CleanRL's script as a module; what it would make environments with is not needed."""
    for name in ("envpool", "gym", "gym.wrappers", "gym.wrappers.normalize"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["gym"].Wrapper = object  # type: ignore[attr-defined]
    sys.modules["gym.wrappers.normalize"].RunningMeanStd = None  # type: ignore[attr-defined]
    path = folder / "cleanrl" / "ppo_rnd_envpool.py"
    found = importlib.util.spec_from_file_location("cleanrl_rnd", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["cleanrl_rnd"] = module
    found.loader.exec_module(module)
    return module


def theirs(
    folder: Path, seen: np.ndarray, batch: np.ndarray
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Scoring and training as CleanRL's script does them."""
    model = cleanrl_module(folder).RNDModel(4, 18)
    optimizer = torch.optim.Adam(model.predictor.parameters(), lr=1e-4, eps=1e-5)
    mean, variance = batch[:, 3].mean(0, dtype=np.float64), batch[:, 3].var(0, dtype=np.float64)

    def normalised(observations: np.ndarray) -> torch.Tensor:
        newest = torch.Tensor(observations)[:, 3].reshape(-1, 1, 84, 84)
        centred = newest - torch.from_numpy(mean)
        return (centred / torch.sqrt(torch.from_numpy(variance))).clip(-5, 5).float()

    def score() -> object:
        frames = normalised(seen)
        errors = model.target(frames) - model.predictor(frames)
        return (errors.pow(2).sum(1) / 2).data

    def train() -> object:
        predicted, wanted = model(normalised(batch))
        loss = functional.mse_loss(predicted, wanted.detach(), reduction="none").mean(-1)
        mask = (torch.rand(len(loss)) < KEPT).float()
        loss = (loss * mask).sum() / mask.sum().clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return score, train


def main() -> None:
    options = tyro.cli(Options)
    torch.set_num_threads(options.threads)
    generator = np.random.default_rng(0)
    seen = generator.integers(0, 256, (options.num_envs, *SHAPE)).astype(np.uint8)
    batch = generator.integers(0, 256, (options.minibatch, *SHAPE)).astype(np.uint8)
    score, train = theirs(options.cleanrl, seen, batch)
    scores, trainings = {"CleanRL": score}, {"CleanRL": train}
    for precision in ("float32", "bfloat16"):
        model = RNDModel(
            spaces.Box(0, 255, SHAPE, np.uint8),
            seed=0,
            device="cpu",
            precision=precision,
            batch_size=options.minibatch,
            train_fraction=0.25,
        )
        model.update(batch)
        name = f"RNDModel, {precision}"
        scores[name] = lambda model=model: model.score(seen)  # type: ignore[misc]
        trainings[name] = lambda model=model: model.update(batch)  # type: ignore[misc]
    rows = []
    for what, steps, samples in (
        (f"score {options.num_envs} observations", scores, options.num_envs),
        (f"train on {options.minibatch}, a quarter of which counts", trainings, options.minibatch),
    ):
        print(what)
        times = in_turns(steps, options.rounds)
        report(times, samples, "CleanRL")
        rows.append([what, *ratios(times, samples, "CleanRL")])
    header = ["", "CleanRL, samples/s", "`RNDModel`, float32", "`RNDModel`, bfloat16"]
    put(options.page, "rnd_peers", header, rows)


if __name__ == "__main__":
    main()
