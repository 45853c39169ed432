"""What loading costs `hxw video pretrain`: its samples a second against the net fed from memory.

    python -m tests.benchmarks.pretraining --preset small

The two take turns; the clips are memory maps of files. Also: the processor time that a batch takes
to make, and a step to learn from it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import tyro

from hxwrappers.video.clip import load_clips
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.pretraining import Pretraining
from hxwrappers.video.settings import preset


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    preset: str = "small"
    precision: str = "bfloat16"
    augment_zoom: float | None = None
    augment_colour: float | None = None
    rounds: int = 7
    steps: int = 10
    threads: int = 1


def clip(folder: str, seed: int, size: int, frames: int = 900) -> None:
    generator = np.random.default_rng(seed)
    pictures = generator.integers(0, 256, (frames, size, size, 3), np.uint8)
    sound = generator.standard_normal(frames * 16_000 // 15).astype(np.float32)
    DecodedClip(str(seed), pictures, 15.0, sound, 16_000).save(folder)


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    names = ("precision", "augment_zoom", "augment_colour")
    given = {name: getattr(settings, name) for name in names}
    chosen = preset(
        settings.preset, **{name: value for name, value in given.items() if value is not None}
    )
    size = chosen.architecture.frame_size
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{seed}" for seed in range(4)]
        for seed, path in enumerate(paths):
            clip(path, seed, size)
        training = Pretraining(load_clips(paths, (size, size)), chosen, device="cpu")
        training.run(3)
        batches = [training._batches.make(step) for step in range(settings.steps)]

        def from_memory() -> None:
            for batch in batches:
                training.learn(batch)

        samples = settings.steps * (len(batches[0].stacks) + len(batches[0].sounds))
        speeds = []
        for _ in range(settings.rounds):
            loaded = samples / timed(lambda: training.run(settings.steps))
            speeds.append((loaded, samples / timed(from_memory)))
        ratios = sorted(loaded / memory for loaded, memory in speeds)
        print(
            f"{settings.preset}: {statistics.median(loaded for loaded, _ in speeds):.0f} samples a "
            f"second loaded, {statistics.median(memory for _, memory in speeds):.0f} from memory; "
            f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
        make = [timed(lambda: training._batches.make(0), time.thread_time) for _ in range(9)]
        learn = [timed(lambda: training.learn(batches[0]), time.thread_time) for _ in range(9)]
        print(
            f"processor time: {1e3 * statistics.median(make):.0f} ms to make a batch, "
            f"{1e3 * statistics.median(learn):.0f} ms to learn from it"
        )


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
