"""What the imitation reward costs on a vector of environments over its embedder's forward pass.

    python -m tests.benchmarks.imitation_reward embedder.safetensors

Prints the ratio of the forward pass alone to the whole reward (resizing, stacking, embedding,
matching), both in CPU time and measured in turns in one run: 1 would be a reward that costs nothing
else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from hxwrappers.bridge.imitation import resolve_embedder
from hxwrappers.video.checkpoints import Checkpoints
from hxwrappers.video.reward import ImitationReward


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        embedder: What hxw video pretrain wrote.
        envs: Environments.
        repeats: Measurements of each.
        threads: Threads of torch.
    """

    embedder: Annotated[Path, tyro.conf.Positional]
    envs: int = 8
    repeats: int = 30
    threads: int = 1


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    embedder = resolve_embedder(settings.embedder)
    generator = np.random.default_rng(0)
    points = torch.nn.functional.normalize(torch.randn(100, embedder.dimension), dim=1)
    track = Checkpoints(points, torch.zeros(embedder.dimension), torch.arange(100), 15.0)
    imitation = ImitationReward(track, embedder, settings.envs)
    frames = generator.integers(0, 256, (settings.envs, 210, 160, 3), np.uint8)
    imitation.begin(frames)
    shape = (settings.envs, embedder.history, *embedder.frame_size, 3)
    stacks = torch.randint(0, 256, shape, dtype=torch.uint8)
    alone, whole = [], []
    for _ in range(settings.repeats + 3):
        alone.append(seconds(lambda: embedder.embed(stacks)))
        whole.append(seconds(lambda: imitation.score(frames)))
    forward, reward = (statistics.median(part[3:]) for part in (alone, whole))
    print(
        f"{settings.envs} environments: forward pass {1e3 * forward:.2f} ms, reward "
        f"{1e3 * reward:.2f} ms, ratio {forward / reward:.3f}"
    )


if __name__ == "__main__":
    main(tyro.cli(Settings))
