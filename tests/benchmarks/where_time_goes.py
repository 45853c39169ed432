"""Where the time of the slowest paths goes: shares of a profile, and what was mended beside before.

    python -m tests.benchmarks.where_time_goes [--demo MontezumaRevenge.demo]

A share is the time inside the limit that the path cannot get below: the emulator's `step`, or the
operators of PyTorch. What was mended is measured in turns in the same run, the former way beside
the present one, in processor time.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import tyro
from gymnasium import spaces

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.demos import Demo, shipped
from hxwrappers.demos.environment import make_environment
from hxwrappers.demos.openai import import_openai_demo
from hxwrappers.files import checkpoints
from hxwrappers.impala import ImpalaSettings
from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.layout import Layout
from hxwrappers.impala.learner import Learner
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.unrolls import Batch
from hxwrappers.novelty import CNDModel, RNDModel
from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings
from hxwrappers.snapshots import AleSnapshotter, Snapshotter
from tests.benchmarks.scaling_parts import Call, Still, follow, stepping
from tests.benchmarks.turns import in_turns, report

ENVS = 16


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        demo: A demonstration of OpenAI's; the library's longest one where None.
        rounds: How often each is measured.
        paths: Only those whose name begins with one of these.
    """

    demo: Path | None = None
    rounds: int = 5
    paths: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Work:
    """A path.

    Attributes:
        unit: What it makes so many of.
        units: How many.
        call: Makes them.
        limit: Whether a function of the profile, by file and name, is the path's limit.
        before: A context in which it works as it did before it was mended, if it was.
    """

    unit: str
    units: int
    call: Call
    limit: Callable[[str, str], bool]
    before: Callable[[], Any] | None = None


def is_torch(file: str, name: str) -> bool:
    return file == "~" and ("torch" in name or "Tensor" in name)


def is_emulator(file: str, name: str) -> bool:
    return file.endswith("ale_py/env.py") and name in {"step", "clone_state", "restore_state"}


@contextmanager
def former_replay() -> Iterator[None]:
    """Pictures of every step of a replay, and snapshots unpacked each time."""
    with ExitStack() as stack:
        stack.enter_context(
            mock.patch.object(AleSnapshotter, "hidden_from_env", Snapshotter.hidden_from_env)
        )
        stack.enter_context(mock.patch.object(Demo, "unpacked", lambda _, __, unpack: unpack()))
        yield


def training(kind: type[RNDModel | CNDModel]) -> Work:
    shape = (4, 84, 84)
    frames = np.random.default_rng(0).integers(0, 256, (512, *shape)).astype(np.uint8)
    space = spaces.Box(0, 255, shape, np.uint8)
    model = kind(space, seed=0, device="cpu", batch_size=512, train_fraction=0.25)
    return Work("samples", 512, lambda: model.update(frames), is_torch)


def learning() -> Work:
    layout = Layout.of(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    learner = Learner(ImpalaNet(layout, NumberedActions(18), precision="float32"), ImpalaSettings())
    steps, envs = 20, 32
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (steps + 1, envs, 4, 84, 84), generator=generator)
    zeros, no = torch.zeros(steps, envs), torch.zeros(steps, envs, dtype=torch.bool)
    batch = Batch(
        observations={"observation": frames.to(torch.uint8)},
        starts=torch.zeros(steps + 1, envs, dtype=torch.bool),
        actions=torch.zeros(steps, envs, dtype=torch.int64),
        log_mus=zeros,
        rewards=zeros,
        terminated=no,
        truncated=no,
        final_values=zeros,
        valid=zeros + 1,
        state=torch.zeros(2, envs, 0),
    )

    return Work("steps", steps * envs, lambda: learner.learn(batch, 0.0), is_torch)


def following() -> Work:
    call = stepping(follow(Still(ENVS, (210, 160, 3)), 100), 10)
    return Work("env-steps", 10 * ENVS, call, is_torch)


def searching() -> Work:
    search = Search(SearchSettings("ALE/MontezumaRevenge-v5", {}, CellSettings("montezuma")))
    steps = 5000

    def call() -> None:
        search.run(Limits(steps=search.progress.steps + steps))

    return Work("emulator frames", steps, call, is_emulator)


def verifying(demo: Demo) -> Work:
    part = demo.slice(stop=min(2000, len(demo)))
    env = make_environment(part)
    return Work("steps", len(part), lambda: part.verify(env), is_emulator, former_replay)


def resetting(demo: Demo) -> Work:
    tracker = SuccessTracker(demo, FrontierSettings(), LocalStore())
    env = DemoResetCurriculum(make_environment(demo), demo, tracker)
    env.reset(seed=0)
    generator = np.random.default_rng(0)

    def call() -> None:
        for _ in range(100):
            env.reset(options={"starting_point": int(generator.integers(tracker.latest[0]))})

    return Work("resets", 100, call, is_emulator, former_replay)


def saving(demo: Demo, folder: Path) -> Work:
    tracker = SuccessTracker(demo, FrontierSettings(), LocalStore())
    generator = np.random.default_rng(0)
    for _ in range(1000):
        tracker.report(tracker.draw(generator), success=bool(generator.random() < 0.5))

    def call() -> None:
        states = {str(number): tracker.state_dict() for number in range(ENVS + 1)}
        checkpoints.save_checkpoint(folder / "checkpoint.safetensors", "Example", states)

    return Work("checkpoints", 1, call, is_torch)


def shares(work: Work) -> None:
    """Print what the limit takes of the time, and what else takes the most."""
    profile = cProfile.Profile()
    profile.enable()
    work.call()
    profile.disable()
    rows: Any = pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    times = {key: row[2] for key, row in rows}
    whole = sum(times.values())
    inside = sum(time for (file, _, name), time in times.items() if work.limit(file, name))
    print(f"    the limit takes {inside / whole:.0%}; of the rest the most:")
    rest = {key: time for key, time in times.items() if not work.limit(key[0], key[2])}
    for file, line, name in sorted(rest, key=lambda key: -rest[key])[:3]:
        where = name if file == "~" else f"{Path(file).name}:{line} {name}"
        print(f"        {rest[file, line, name] / whole:5.1%} {where}")


def main() -> None:
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    print(f"load {os.getloadavg()[0]:.1f}, {options}", flush=True)
    given = options.demo
    demo = shipped("montezuma-long") if given is None else import_openai_demo(given)
    with tempfile.TemporaryDirectory() as folder:
        works: dict[str, Callable[[], Work]] = {
            "RND training": lambda: training(RNDModel),
            "CND training": lambda: training(CNDModel),
            "IMPALA's learner": learning,
            "YouTube reward": following,
            "search": searching,
            "verify": lambda: verifying(demo),
            "reset of a curriculum": lambda: resetting(demo),
            f"a checkpoint of {ENVS} curricula": lambda: saving(demo, Path(folder)),
        }
        for name, make in works.items():
            if not name.startswith(options.paths):
                continue
            work = make()
            work.call()
            print(f"\n{name}, {work.unit}")
            shares(work)
            steps: dict[str, Call] = {"now": work.call}
            if work.before is not None:
                steps = {"before": in_context(work), **steps}
            reference = None if work.before is None else "before"
            report(in_turns(steps, options.rounds), work.units, reference)
            print(end="", flush=True)


def in_context(work: Work) -> Call:
    """The path as it was before."""
    assert work.before is not None
    before = work.before

    def call() -> None:
        with before():
            work.call()

    return call


if __name__ == "__main__":
    main()
