"""Training CNDModel against the reference code of CND, in turns on one machine.

    python -m tests.benchmarks.novelty_update --reference PATH

PATH is a checkout of github.com/michalnand/reinforcement_learning_agents, of a version whose tile
mask runs (983434b0 of July 2023). Its own methods are called on 4x96x96 states with the settings of
its Montezuma run: distillation of 512, a contrastive step of 64 pairs with tile mask and noise, and
networks of net B's layers that look at one channel, as its networks do.
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

from hxwrappers.novelty import CNDModel
from hxwrappers.novelty.networks import build_predictor, build_target, orthogonal_init
from tests.benchmarks.turns import in_turns, report

BATCH, PAIRS, SHAPE = 512, 64, (4, 96, 96)


@dataclass(frozen=True)
class Options:
    """How often to measure, and where the reference code is."""

    reference: Path | None = None
    rounds: int = 7
    threads: int = 2


class OneChannel(torch.nn.Module):
    """A network that is handed four channels and looks at one, as in the reference code."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        orthogonal_init(network)
        self.network = network

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.network(states[:, 0:1])


def reference_step(folder: Path, observations: np.ndarray) -> Callable[[], object]:
    """The distillation and contrastive steps of the reference agent's training loop."""
    package = types.ModuleType("reference")
    package.__path__ = [str(folder / "RLAgents" / "lib_agents")]
    sys.modules["reference"] = package
    agent_class: Any = importlib.import_module("reference.AgentPPOCND").AgentPPOCND
    losses: Any = importlib.import_module("reference.SelfSupervisedLoss")
    agent = agent_class.__new__(agent_class)
    arguments = ("B", (1, *SHAPE[1:]), 512, 512)
    agent.model_cnd_target = OneChannel(build_target(*arguments))
    agent.model_cnd = OneChannel(build_predictor(*arguments))
    agent.normalise_state_mean = agent.normalise_state_std = True
    agent.augmentations_probs, agent.cnd_augmentations = 0.5, ["mask", "noise"]
    states = torch.from_numpy(observations).float() / 255.0
    agent.states_running_stats = types.SimpleNamespace(
        mean=states.mean(dim=0).numpy(), std=states.std(dim=0).clamp(min=0.03).numpy()
    )
    optimizer = torch.optim.Adam(agent.model_cnd.parameters(), lr=1e-4)
    target_optimizer = torch.optim.Adam(agent.model_cnd_target.parameters(), lr=1e-4)

    def step() -> None:
        loss = agent._compute_loss_cnd(states, 0.75)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, second = (torch.randint(0, BATCH, (PAIRS,)) for _ in range(2))
        labels = (torch.rand(PAIRS) > 0.5).float()
        others = torch.where(labels > 0.5, second, first)
        loss, *_ = losses.contrastive_loss_mse(
            agent.model_cnd_target,
            states[first],
            states[others],
            labels,
            agent._norm_state,
            agent._aug_cnd,
        )
        target_optimizer.zero_grad()
        loss.backward()
        target_optimizer.step()

    return step


def our_step(observations: np.ndarray, **settings: Any) -> Callable[[], object]:
    space = spaces.Box(0, 255, SHAPE, np.uint8)
    model = CNDModel(space, seed=0, device="cpu", batch_size=BATCH, pairs=PAIRS, **settings)
    model._normalize.update(model.layout.frames(observations, model.device))
    return lambda: model.update(observations)


def main() -> None:
    options = tyro.cli(Options)
    torch.set_num_threads(options.threads)
    observations = np.random.default_rng(0).integers(0, 256, (BATCH, *SHAPE)).astype(np.uint8)
    steps = {
        "net B, all samples, feature mask (the same work)": our_step(
            observations, net="B", distil_mask="feature"
        ),
        "the same in bfloat16": our_step(
            observations, net="B", distil_mask="feature", precision="bfloat16"
        ),
        "defaults: net A, a quarter of the samples": our_step(observations),
        "defaults in bfloat16": our_step(observations, precision="bfloat16"),
    }
    if options.reference is not None:
        steps = {"reference": reference_step(options.reference, observations), **steps}
    print(f"{BATCH} samples and {PAIRS} pairs, {options.threads} threads, {options.rounds} rounds")
    reference = None if options.reference is None else "reference"
    report(in_turns(steps, options.rounds), BATCH, reference)


if __name__ == "__main__":
    main()
