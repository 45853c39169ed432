"""IMPALA beside TorchBeast's monobeast, and beside the environments alone, in turns.

`git clone https://github.com/facebookresearch/torchbeast`, then
`python -m tests.benchmarks.impala_peers --torchbeast PATH [--rounds 3] [--seconds 20]`

All play Montezuma's Revenge with as many actor processes, unrolls of 20 steps and batches of 32;
monobeast in float32, one environment a process, as it cannot do otherwise. Its source is used as it
is: replaced at run time are the environment, by this library's with the interface of that time, and
the writer of its log, which reads its steps. Without `--torchbeast` the rest is measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from hxwrappers.envs import make_atari
from hxwrappers.impala import ImpalaSettings
from tests.benchmarks.impala_speed import measure
from tests.benchmarks.page import put
from tests.benchmarks.speeds import Marks, Speed, in_turn, processor_time

GAME = "montezuma_revenge"
ENVS_PER_ACTOR, UNROLL, BATCH = 8, 20, 32
THEIR_WIDTH = 512 + 18 + 1  # of monobeast's LSTM: features, last action, last reward
ROWS = {
    "monobeast": {},
    "vector float32": {"backend": "ale", "precision": "float32"},
    "vector": {"backend": "ale", "precision": "auto"},
    "single float32": {"backend": "sync", "precision": "float32"},
    "single": {"backend": "sync", "precision": "auto"},
}
RAW = {"raw vector": "ale", "raw single": "sync"}


class OldInterface:
    """An environment as the gym of 2019 had them."""

    def __init__(self) -> None:
        self._env: gym.Env[Any, Any] = make_atari(GAME, preset="impala")
        self._seed: int | None = None
        self.observation_space = self._env.observation_space
        self.action_space = types.SimpleNamespace(
            n=int(cast(spaces.Discrete, self._env.action_space).n)
        )

    def seed(self, seed: int) -> None:
        self._seed = seed % 2**31

    def reset(self) -> np.ndarray:
        seed, self._seed = self._seed, None
        return self._env.reset(seed=seed)[0]

    def step(self, action: int) -> tuple[np.ndarray, float, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._env.step(action)
        return observation, float(reward), terminated or truncated, info


def play_monobeast(path: str, actors: int, lstm: bool, seconds: float) -> None:
    """Run monobeast, and tell its speed once it is known; the parent ends it."""
    sys.path.insert(0, path)
    sys.modules["torchbeast.atari_wrappers"] = types.ModuleType("torchbeast.atari_wrappers")
    sys.modules["git"] = types.ModuleType("git")
    from torchbeast import monobeast  # noqa: PLC0415 - only where there is one
    from torchbeast.core import file_writer  # noqa: PLC0415

    marks = Marks(seconds)

    class Steps:
        """In the place of the log's writer."""

        def __init__(self, **_: Any) -> None:
            pass

        def log(self, row: dict[str, Any]) -> None:
            marks.mark(row["step"])

        def close(self) -> None:
            pass

    file_writer.FileWriter = Steps
    monobeast.create_env = lambda _: OldInterface()
    words = ["--disable_cuda", "--disable_checkpoint", f"--num_actors={actors}"]
    words += [f"--unroll_length={UNROLL}", f"--batch_size={BATCH}", "--total_steps=1000000000"]
    monobeast.main(monobeast.parser.parse_args([*words, "--use_lstm"] if lstm else words))


def play_raw(backend: str, actors: int, seconds: float) -> None:
    """Random actions and nothing else, in as many processes."""
    context = get_context("spawn")
    counts = context.Array("d", actors)
    ends = context.Value("d", 0.0)
    processes = [
        context.Process(target=_step, args=(backend, number, counts, ends))
        for number in range(actors)
    ]
    for process in processes:
        process.start()
    while min(counts[:]) == 0:
        time.sleep(0.1)

    def read() -> tuple[float, ...]:
        cpu = sum(processor_time(process.pid or 0) for process in processes)
        return sum(counts[:]), time.perf_counter(), cpu

    before = read()
    time.sleep(seconds)
    steps, wall, cpu = (after - first for after, first in zip(read(), before, strict=True))
    ends.value = 1.0
    for process in processes:
        process.join()
    Speed(steps / wall, steps / cpu, cpu / wall).tell()


def _step(backend: str, number: int, counts: Any, ends: Any) -> None:
    env = make_atari(GAME, preset="impala", num_envs=ENVS_PER_ACTOR, backend=backend)
    generator = np.random.default_rng(number)
    env.reset(seed=number)
    while not ends.value:
        env.step(generator.integers(18, size=ENVS_PER_ACTOR))
        counts[number] += ENVS_PER_ACTOR
    env.close()


def play_ours(row: dict[str, str], actors: int, lstm: int, seconds: float) -> None:
    make_env = cast(
        Callable[[], VectorEnv],
        partial(make_atari, GAME, preset="impala", num_envs=ENVS_PER_ACTOR, backend=row["backend"]),
    )
    settings = ImpalaSettings(
        num_actors=actors,
        envs_per_actor=ENVS_PER_ACTOR,
        unroll_length=UNROLL,
        batch_size=BATCH,
        lstm=lstm,
        precision=row["precision"],  # type: ignore[arg-type]
        learner_threads=1,
        log_every=1.0,
    )
    measure(make_env, settings, seconds).tell()


def command(words: Sequence[str], cores: int) -> list[str]:
    """This module as a child, on so many cores."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    programme = [sys.executable, "-m", __spec__.name, "--child", *words]
    return ["taskset", "-c", ",".join(map(str, allowed)), *programme]


def child(options: argparse.Namespace) -> None:
    name, actors, lstm = options.child[0], int(options.child[1]), int(options.child[2])
    if name == "monobeast":
        play_monobeast(options.torchbeast, actors, bool(lstm), options.seconds)
    elif name in RAW:
        play_raw(RAW[name], actors, options.seconds)
    else:
        play_ours(ROWS[name], actors, lstm, options.seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--torchbeast", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--cores", type=int, nargs="*", default=[os.cpu_count() or 1])
    parser.add_argument("--lstm", type=int, nargs="*", default=[0, 256, THEIR_WIDTH])
    parser.add_argument("--rows", nargs="*", default=[*ROWS, *RAW], choices=[*ROWS, *RAW])
    parser.add_argument("--page", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    rows = [row for row in options.rows if row != "monobeast" or options.torchbeast]
    print(f"{GAME}, load {os.getloadavg()[0]:.1f}, {vars(options)}")
    common = [f"--torchbeast={options.torchbeast}", f"--seconds={options.seconds}"]
    found: dict[tuple[int, int, str], list[Speed]] = {}
    for _ in range(options.rounds):
        for cores in options.cores:
            for lstm in options.lstm:
                for row in rows:
                    if row in RAW and lstm != options.lstm[0]:
                        continue
                    words = [row, str(options.actors), str(lstm), *common]
                    speed = in_turn(command(words, cores), options.seconds * 10 + 300)
                    found.setdefault((cores, lstm, row), []).append(speed)
                    print(f"{cores} cores lstm {lstm:3} {row:15} {speed}", flush=True)
    put(options.page, "impala_peers", *table(found, rows))


def table(
    found: Mapping[tuple[int, int, str], Sequence[Speed]], rows: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """A row for each number of cores and each LSTM: medians, rounds, ratios to monobeast."""
    lines = []
    for cores, lstm in dict.fromkeys(key[:2] for key in found):
        theirs = found.get((cores, lstm, "monobeast"))
        line = [f"{cores} cores, {f'LSTM of {lstm}' if lstm else 'no LSTM'}"]
        for row in rows:
            speeds = found.get((cores, lstm, row), [])
            steps = [speed.steps for speed in speeds]
            if not steps:
                line.append("")
                continue
            cell = f"{median(steps):,.0f} ({', '.join(f'{one:,.0f}' for one in steps)})"
            if theirs and row not in (*RAW, "monobeast"):
                cell += f": {median(steps) / median(one.steps for one in theirs):.1f} times"
            line.append(cell)
        lines.append(line)
    return ["", *rows], lines


if __name__ == "__main__":
    main()
