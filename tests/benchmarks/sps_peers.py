"""IMPALA beside the training programs of others, in turns: steps a second of all environments.

    python -m tests.benchmarks.sps_peers --sample-factory PYTHON --rllib PYTHON

Each runs in a process of its own, with sixteen environments of Montezuma's Revenge, the same
convolutions and 640 steps for an update; see `tests.benchmarks.sps_players`. Sample Factory wants
an older Gymnasium and an older NumPy, and RLlib an older Gymnasium, so each has its own Python:

    uv venv sf; uv pip install --python sf/bin/python sample-factory==2.1.1 ale-py==0.12.1 \\
        opencv-python-headless torch
    uv venv rllib; uv pip install --python rllib/bin/python "ray[rllib]==2.60.0" ale-py==0.12.1 \\
        opencv-python-headless torch
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tyro

from tests.benchmarks.page import put
from tests.benchmarks.speeds import Speed, in_turn

OURS = ("single float32", "vector float32", "single", "vector")
"""Rows of `tests.benchmarks.impala_peers`: single environments are those of the others."""

ACTORS = 2
REFERENCE = "SB3 PPO, 1 pass"


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        sample_factory: The Python that has Sample Factory; it is left out where None.
        rllib: The Python that has RLlib; likewise.
        rounds: How often.
        seconds: How long each time, after five seconds of warm-up; an update is 640 steps, of which
            there should be many.
        ours: Which of this library's rows.
        page: The page to put the table into.
    """

    sample_factory: Path | None = None
    rllib: Path | None = None
    rounds: int = 2
    seconds: float = 15.0
    ours: tuple[str, ...] = OURS
    page: Path | None = None


def commands(options: Options) -> dict[str, list[str]]:
    """What to run, by name."""
    words = [sys.executable, "-m", "tests.benchmarks.impala_peers"]
    found = {
        f"IMPALA, {name}": [
            *words,
            f"--seconds={options.seconds}",
            "--child",
            name,
            f"{ACTORS}",
            "0",
        ]
        for name in options.ours
    }
    pythons = {
        REFERENCE: Path(sys.executable),
        "SB3 PPO, 4 passes": Path(sys.executable),
        "RLlib IMPALA": options.rllib,
        "Sample Factory APPO": options.sample_factory,
    }
    for name, python in pythons.items():
        if python is not None:
            players = ["-m", "tests.benchmarks.sps_players", name, str(options.seconds)]
            found[name] = [str(python), *players]
    return found


def main() -> None:
    options = tyro.cli(Options)
    print(f"load {os.getloadavg()[0]:.1f}, {options}", flush=True)
    # Ray's workers otherwise run at the lowest priority, behind whatever else the machine does.
    settings = {"RAY_worker_niceness": "0", "PYTHONPATH": str(Path.cwd())}
    speeds: dict[str, list[Speed]] = {}
    for _ in range(options.rounds):
        for name, command in commands(options).items():
            try:
                speed = in_turn(command, options.seconds * 10 + 300, settings)
            except SystemExit as silence:  # one that cannot start does not stop the others
                print(f"{name:24} {str(silence)[-300:]}", flush=True)
                continue
            speeds.setdefault(name, []).append(speed)
            print(f"{name:24} {speed}", flush=True)
    if REFERENCE not in speeds:
        return
    wall, cpu = (
        {name: median(getattr(one, what) for one in found) for name, found in speeds.items()}
        for what in ("steps", "per_cpu")
    )
    rows = [
        [
            name,
            f"{wall[name]:,.0f} ({', '.join(f'{one.steps:,.0f}' for one in found)})",
            f"{wall[name] / wall[REFERENCE]:.1f} times",
            f"{cpu[name]:,.0f}",
            f"{cpu[name] / cpu[REFERENCE]:.1f} times",
        ]
        for name, found in speeds.items()
    ]
    header = ["", "steps a second", f"of {REFERENCE}"]
    header += ["steps a second of processor time", f"of {REFERENCE}"]
    put(options.page, "sps_peers", header, rows)


if __name__ == "__main__":
    main()
