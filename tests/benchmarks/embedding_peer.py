"""The embedding beside a public re-implementation of TDC, after as much processor time each.

    python -m tests.benchmarks.embedding_peer runs/embedding --peer PATH --minutes 10

FOLDER is that of `tests.benchmarks.embedding`; PATH a checkout of
github.com/seungjaeryanlee/playing-hard-exploration-games-by-watching-youtube (93eeec7). Its
network, classifier and drawing of samples are used as they are, on the same clips, with its
optimiser and loss; what reads its own videos is not needed. All learn temporal distance alone, with
one thread.
"""

from __future__ import annotations

import importlib
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import tyro
from torch.nn import functional

from hxwrappers.impala.net import hardware_precision
from hxwrappers.video import DecodedClip, Pretraining, load_clips, preset
from tests.benchmarks.embedding import HELD_OUT, TRAINING, cycles
from tests.benchmarks.page import put
from tests.benchmarks.turns import in_turns, ratios, report

BATCH, SIZE, CROP = 32, 140, 128
THEIRS = "theirs, float32"


@dataclass(frozen=True)
class Settings:
    """What to compare.

    Attributes:
        folder: The folder of `tests.benchmarks.embedding`.
        peer: Where the other's source is.
        minutes: Of processor time, for each.
        rounds: Of measuring one step of each.
        seed: Of all.
        page: The page to put the tables into.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    peer: Path
    minutes: float = 10.0
    rounds: int = 5
    seed: int = 0
    page: Path | None = None


class Peer:
    """Their network, trained as their script does without the sound."""

    def __init__(self, source: Path, clips: Sequence[DecodedClip]) -> None:
        for absent in ("librosa", "skvideo", "skvideo.io"):
            module: Any = types.ModuleType(absent)
            module.FFmpegReader = None
            sys.modules.setdefault(absent, module)
        sys.path.insert(0, str(source))
        self.net = importlib.import_module("networks.tdc").TDC()
        self._classifier = importlib.import_module("networks.classifier").Classifier()
        module = importlib.import_module("datasets.tdccmcdataset")
        self._samples = module.TDCCMCDataset([], [], [])
        sys.path.remove(str(source))
        silence = np.zeros((1, 10_000_000), np.float32)
        self._samples.sources = [  # its views need the copy that it makes of float64
            (channels_first(clip.frames).astype(np.float64), silence) for clip in clips
        ]
        weights = [*self.net.parameters(), *self._classifier.parameters()]
        self._optimizer = torch.optim.Adam(weights, lr=1e-4)
        self.step = 0

    def learn(self) -> None:
        self.net.train()
        drawn = [self._samples[index] for index in range(BATCH)]
        first, second, _, labels, _ = (torch.stack(part) for part in zip(*drawn, strict=True))
        points = [functional.normalize(self.net(stacks)) for stacks in (first, second)]
        guess = self._classifier(points[0] * points[1])
        loss = functional.cross_entropy(guess, labels.squeeze(1))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.step += 1

    @torch.inference_mode()
    def embed(self, clip: DecodedClip) -> npt.NDArray[np.float32]:
        """A point for each frame, of it and the three before it, as the learned stacks are."""
        self.net.eval()
        edge = (SIZE - CROP) // 2
        middle = np.s_[:, :, edge : edge + CROP, edge : edge + CROP]
        frames = torch.from_numpy(channels_first(clip.frames)[middle]) / 255
        padded = torch.cat([frames[:1].repeat(3, 1, 1, 1), frames])
        stacks = padded.unfold(0, 4, 1).permute(0, 4, 1, 2, 3).flatten(1, 2)
        points = [functional.normalize(self.net(part)) for part in stacks.split(BATCH)]
        return torch.cat(points).numpy()


def channels_first(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.moveaxis(np.asarray(frames), 3, 1).astype(np.float32, order="C")


def learn_for(minutes: float, step: Callable[[], object]) -> None:
    end = time.process_time() + 60 * minutes
    while time.process_time() < end:
        step()


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    np.random.seed(settings.seed)  # noqa: NPY002  theirs draws from it
    paths = {name: settings.folder / "cropped" / name for name in (*TRAINING, *HELD_OUT)}

    def clips(names: Sequence[str], size: int) -> list[DecodedClip]:
        return load_clips([paths[name] for name in names], (size, size))

    peer = Peer(settings.peer, clips(TRAINING, SIZE))
    steps: dict[str, Callable[[], object]] = {THEIRS: peer.learn}
    precision = hardware_precision("auto", torch.device("cpu"))
    for kind in dict.fromkeys(("float32", precision)):
        ours = preset("paper", objective="tdc", precision=kind, seed=settings.seed)
        training = Pretraining(clips(TRAINING, SIZE), ours, device="cpu")
        steps[f"as published, {kind}"] = lambda training=training: training.run(1)  # type: ignore[misc]
    print("a step of 32 pairs, networks of the published size")
    times = in_turns(steps, settings.rounds)
    report(times, 2 * BATCH, THEIRS)
    row = ["a step of 32 pairs", *ratios(times, 2 * BATCH, THEIRS)]
    header = ["", f"{THEIRS}, samples/s", *(name for name in steps if name != THEIRS)]
    put(settings.page, "embedding_peer_step", header, [row])

    learn_for(settings.minutes, peer.learn)
    held = clips(HELD_OUT, SIZE)
    found = {
        f"theirs, {peer.step} steps": cycles(
            {name: peer.embed(clip) for name, clip in zip(HELD_OUT, held, strict=True)}
        )
    }
    for name in ("paper", "small"):
        chosen = preset(name, objective="tdc", precision=precision, seed=settings.seed)
        size = chosen.architecture.frame_size
        training = Pretraining(clips(TRAINING, size), chosen, device="cpu")
        learn_for(settings.minutes, lambda training=training: training.run(5))  # type: ignore[misc]
        embedder = training.embedder()
        embedded = {
            held: embedder.embed_clip(clip)
            for held, clip in zip(HELD_OUT, clips(HELD_OUT, size), strict=True)
        }
        found[f"preset `{name}`, {training.step} steps"] = cycles(embedded)
    kinds = list(next(iter(found.values())))
    rows = [[who, *(f"{cycle[kind]:.3f}" for kind in kinds)] for who, cycle in found.items()]
    put(settings.page, "embedding_peer_cycles", ["", *kinds], rows)


if __name__ == "__main__":
    main(tyro.cli(Settings))
