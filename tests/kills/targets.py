"""What is killed: a way to run or resume each kind of long run, and to look at what it left."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hxwrappers._utils import devices
from hxwrappers.cli import main as hxw
from hxwrappers.cli.demo_record import RecordingOptions, run_recording
from hxwrappers.demos import recover_demos, shipped
from hxwrappers.files.checkpoints import load_checkpoint
from hxwrappers.impala.policy import checkpoints
from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings
from hxwrappers.video import Pretraining
from tests.demos.samples import frame_env, lake_demo

ROOT = Path(__file__).parent.parent.parent
ENDLESS = 10**9


class Saved(NamedTuple):
    """What a run has left on the disk.

    Attributes:
        steps: Steps behind its checkpoint.
        rows: Its history, each row with `steps`.
        state: All of it.
    """

    steps: int
    rows: list[dict[str, float]]
    state: Any


@dataclass(frozen=True)
class Target:
    """A kind of long run.

    Attributes:
        run: Runs or resumes it in a folder until so many steps are made.
        look: What it has left there; None before the first checkpoint.
        same: Whether a run that was killed is to come to the same state as one that never was, and
            how many more steps both make before they are compared.
        log: A figure of TensorBoard that is logged with every row.
        package: What must be installed.
        begun: What is there once something is saved.
        aims: Whether there are moments of writing to be aimed at.
    """

    run: Callable[[Path, int], object]
    look: Callable[[Path], Saved | None]
    same: int | None = None
    log: str | None = None
    package: str = "stable_baselines3"
    begun: str = "checkpoint.safetensors"
    aims: bool = True


def _training_run(folder: Path) -> Saved | None:
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return None
    state = load_checkpoint(path, "TrainingRun")
    steps = int(state["model"]["num_timesteps"])
    rows = state["history"]["rows"]
    assert rows[-1]["steps"] == steps
    assert state["history"]["episodes"] == rows[-1]["episodes"]
    return Saved(steps, rows, state)


def dual_value_ppo(folder: Path, total: int) -> None:
    """Saves after each rollout."""
    from tests.sb3.test_runs import build  # noqa: PLC0415

    run = build(folder, checkpoint_every=32)
    run.begin(resume=(folder / "checkpoint.safetensors").exists())
    run.train(total)


def _example(name: str, *more: str, demo: bool = False) -> Callable[[Path, int], None]:
    def run(folder: Path, total: int) -> None:
        words = ["--folder", str(folder), "--threads", "1", "--device", "cpu", "--num-envs", "2"]
        words += ["--total-timesteps", str(total), "--checkpoint-every", "256", *more]
        if demo:
            lake_demo().save(folder.parent / "lake.npz")
            words += ["--demo", str(folder.parent / "lake.npz"), "--success-rate", "1.0"]
            words += ["--episodes", "0"]
        words += ["--resume"] if (folder / "checkpoint.safetensors").exists() else []
        _main(name, words)

    return run


def _main(name: str, words: list[str]) -> None:
    sys.path.insert(0, str(ROOT))
    sys.argv = [name, *words]
    importlib.import_module(f"examples.{name}").main()


def impala(folder: Path, total: int) -> None:
    """Saves after each batch."""
    words = ["train", "impala", "CartPole-v1", "--folder", str(folder), "--net", "mlp"]
    words += ["--num-actors", "1", "--envs-per-actor", "2", "--batch-size", "2", "--episodes", "0"]
    words += ["--checkpoint-every", "0", "--log-every", "0", "--total-timesteps", str(total)]
    words += ["--resume"] if checkpoints(folder) else []
    assert hxw(words) == 0


def _impala(folder: Path) -> Saved | None:
    found = checkpoints(folder)
    assert len(found) <= 3  # the third only in the moment before it is removed
    if not found:
        return None
    state = load_checkpoint(found[-1], "Impala")
    rows = state["log"]["rows"]
    assert int(found[-1].stem.split("-")[1]) == state["num_timesteps"] == rows[-1]["steps"]
    assert state["updates"] == rows[-1]["train/updates"]
    assert state["log"]["episodes"] == rows[-1]["rollout/episodes"]
    updates = [row["train/updates"] for row in rows]
    assert updates == list(range(1, len(rows) + 1))
    # Steps are counted where the environments make them: 20 steps of 2 environments a batch, less
    # those that only reset one, at most one for each episode.
    counts = np.diff([0.0, *(row["steps"] for row in rows)])
    assert ((counts > 0) & (counts <= 40)).all()
    return Saved(int(state["num_timesteps"]), rows, state)


def pretraining(folder: Path, total: int) -> None:
    """Saves after each step of the optimiser."""
    from tests.video.squares import moving_square, tiny  # noqa: PLC0415

    clips = [moving_square(), moving_square("other", 50, 1)]
    training = Pretraining(clips, tiny(), device="cpu")
    path = folder / "pretraining.safetensors"
    if path.exists():
        training.load(path)
    while training.step < total:
        training.run(1)
        training.save(path)


def _pretraining(folder: Path) -> Saved | None:
    path = folder / "pretraining.safetensors"
    if not path.exists():
        return None
    state = load_checkpoint(path, "Pretraining")
    return Saved(state["step"], [], state)


def search(folder: Path, total: int) -> None:
    """Saves after each exchange with its worker."""
    lake = SearchSettings("FrozenLake-v1", {"is_slippery": False}, CellSettings("observation"))
    Search(lake, checkpoint=folder / "search.safetensors", checkpoint_every=0.0).run(
        Limits(steps=total)
    )


def _search(folder: Path) -> Saved | None:
    path = folder / "search.safetensors"
    if not path.exists():
        return None
    state = load_checkpoint(path, "Search")
    return Saved(state["steps"], [], {**state, "seconds": 0.0})


def recording(folder: Path, total: int) -> None:
    """Plays by hand as `hxw demo record` does, with going back in time, until it is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    wish = RecordingOptions(
        "ALE/Pong-v5", folder / "demo.npz", None, None, (), None, None, 0, (), 20
    )
    generator = np.random.default_rng()
    with run_recording(wish, "kills") as sitting:
        session = sitting.begin()
        session.advance(["right"], ["right"], -1.0)
        session.advance(["right"], [], -0.5)
        told = (folder / "told").open("wb", 0)
        now = 0.0
        while len(sitting.recording) < total:
            keys = ["backspace"] if generator.integers(12) == 0 else ["right", "space"]
            for _ in range(int(generator.integers(1, 30))):
                session.advance(keys, keys, now)
                now += 1 / 60
                told.seek(0)
                told.write(f"{len(sitting.recording):8}".encode())


def _recording(folder: Path) -> Saved | None:
    journal = folder / "demo.journal"
    runs = recover_demos(journal) if journal.exists() and journal.stat().st_size else []
    if not runs:
        return None
    assert runs[-1].verify(frame_env()).ok
    told = folder / "told"
    text = told.read_bytes() if told.exists() else b""
    if text:
        assert abs(len(runs[-1]) - int(text)) <= 60  # what one call of `advance` may do
    return Saved(sum(map(len, runs)), [], None)


def youtube(folder: Path, total: int) -> None:
    """All stages, from videos to an agent; only the searches are left out."""
    for player in range(2):
        path = folder / f"demos/{player}.npz"
        if not path.exists():
            shipped("montezuma-first-room").slice(stop=900).save(path)
    words = ["--folder", str(folder), "--players", "2", "--pretraining-steps", "3"]
    words += ["--num-actors", "1", "--num-envs", "2", "--episodes", "2", "--device", "cpu"]
    steps = total if total == ENDLESS else min(total, 4000)
    _main("montezuma_youtube", [*words, "--total-timesteps", str(steps)])


def _youtube(folder: Path) -> Saved | None:
    """Whatever stands under its name is whole."""
    from hxwrappers.demos import Demo  # noqa: PLC0415
    from hxwrappers.video import Clip, DecodedClip, Embedder  # noqa: PLC0415
    from hxwrappers.video.synthesis.make import Truth  # noqa: PLC0415

    stages = 0
    for pattern, load in (
        ("demos/[0-9]*.npz", Demo.load),
        ("videos/[0-9]*.mp4", lambda path: Clip(path).facts()),
        ("videos/[0-9]*.truth.json", Truth.load),
        ("clips/[0-9]*", DecodedClip.load),
        ("pretraining.safetensors", lambda path: load_checkpoint(path, "Pretraining")),
        ("embedder.safetensors", Embedder.load),
    ):
        for path in sorted(folder.glob(pattern)):
            load(path)
            stages += 1
    found = checkpoints(folder / "impala")
    steps = load_checkpoint(found[-1], "Impala")["num_timesteps"] if found else 0
    return Saved(1000 * stages + steps, [], None)


TARGETS = {
    "dual-value-ppo": Target(
        dual_value_ppo, _training_run, same=64, log="exploration/reward_bonus_mean"
    ),
    "montezuma-rnd": Target(
        _example("montezuma_rnd"), _training_run, same=256, log="exploration/rooms"
    ),
    "montezuma-cnd": Target(
        _example("montezuma_cnd"), _training_run, same=256, log="exploration/rooms"
    ),
    "procgen-cnd": Target(
        _example("procgen_cnd"),
        _training_run,
        same=256,
        log="exploration/rooms",
        package="procgen",
    ),
    "demo": Target(
        _example("montezuma_demo", demo=True),
        _training_run,
        same=256,
        log="curriculum/frontier",
    ),
    "demo-recurrent": Target(
        _example("montezuma_demo", "--recurrent", demo=True),
        _training_run,
        same=256,
        log="curriculum/frontier",
    ),
    "impala": Target(
        impala,
        _impala,
        log="train/policy_loss",
        package="tensorboard",
        begun="checkpoint-*.safetensors",
    ),
    "pretraining": Target(
        pretraining, _pretraining, same=2, package="torch", begun="pretraining.safetensors"
    ),
    "search": Target(search, _search, same=2000, package="torch", begun="search.safetensors"),
    "recording": Target(recording, _recording, package="ale_py", begun="told", aims=False),
    "youtube": Target(youtube, _youtube, package="av", begun="videos/*.truth.json"),
}


def child(name: str, folder: Path, total: int) -> None:
    """What the process does that is to be killed; it and its children are a group of their own."""
    import os  # noqa: PLC0415

    os.setsid()
    torch.set_num_threads(1)
    # Two runs that are compared bit by bit may not decide by the clock, each for itself.
    devices.is_bfloat16_faster = lambda *_, **__: False
    if TARGETS[name].package == "stable_baselines3":
        from hxwrappers.sb3 import WaySearch, quick  # noqa: PLC0415

        quick.WaySearch = partial(WaySearch, frames=5_000)  # rather than for minutes
    with (folder.parent / "said.txt").open("a") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    TARGETS[name].run(folder, total)


def check_history(rows: list[dict[str, float]]) -> None:
    """Steps go on, and what is counted never goes back."""
    for one, other in pairwise(rows):
        assert one["steps"] < other["steps"]
        for key in ("episodes", "rollout/episodes"):
            assert one.get(key, 0) <= other.get(key, 0)
