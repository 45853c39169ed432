"""The first key of Montezuma's Revenge from one demonstration, against PPO alone, side by side.

    python -m tests.benchmarks.montezuma_key

Runs `examples/montezuma_demo.py` once for each seed, then without the curriculum for as long as
the slowest of them took (`--no-alone` leaves that out); prints the table and draws the frontiers.
What has run is not run again, what was interrupted goes on.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import tyro

from hxwrappers.files.checkpoints import load_checkpoint
from hxwrappers.runs.plots import pyplot, save_figure
from hxwrappers.sb3.training_run import CHECKPOINT, KIND

EXAMPLE = Path(__file__).parents[2] / "examples" / "montezuma_demo.py"


@dataclass(frozen=True)
class Options:
    """What to run."""

    seeds: tuple[int, ...] = (0, 1, 2)
    demo: str = "montezuma-first-key"
    threads: int = 1
    alone: bool = True
    folder: Path = Path("runs/montezuma_key")
    picture: Path = Path("docs/images/montezuma_key.png")


def run(options: Options, name: str, *arguments: str) -> list[dict[str, float]]:
    """Run the example to its end, unless it has been there; get the rows of its history."""
    folder = options.folder / name
    if not (folder / "policy.safetensors").exists():
        common = ["--demo", options.demo, "--threads", str(options.threads)]
        common += ["--resume"] * (folder / CHECKPOINT).exists()  # it was interrupted
        command = [sys.executable, str(EXAMPLE), *common, "--folder", str(folder), *arguments]
        subprocess.run(command, check=True)
    rows: list[dict[str, float]] = load_checkpoint(folder / CHECKPOINT, KIND)["history"]["rows"]
    return rows


def main() -> None:
    """Run what is missing, then report."""
    options = tyro.cli(Options)
    learned = {seed: run(options, f"key-{seed}", "--seed", str(seed)) for seed in options.seeds}
    plt: Any = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    for seed, rows in learned.items():
        end = rows[-1]
        print(
            f"curriculum, seed {seed}: the game's start after {end['steps']:,.0f} steps, "
            f"{end['episodes']:,.0f} episodes, {end['seconds']:,.0f} s; then "
            f"{end['success_rate']:.0%} of the episodes from there succeed"
        )
        frontiers = [row["frontier"] for row in rows]
        left.plot([row["steps"] for row in rows], frontiers, label=f"seed {seed}")
        right.plot([row["episodes"] for row in rows], frontiers)
    times = [rows[-1]["seconds"] for rows in learned.values()]
    steps = [rows[-1]["steps"] for rows in learned.values()]
    print(f"median: {median(steps):,.0f} steps, {median(times) / 60:.1f} minutes")
    if options.alone:
        minutes = ("--minutes", f"{max(times) / 60:.1f}")
        end = run(options, "alone-0", "--no-curriculum", "--seed", "0", *minutes)[-1]
        print(
            f"PPO alone: {end['steps']:,.0f} steps, {end['episodes']:,.0f} episodes, "
            f"{end['seconds']:,.0f} s; best return {end.get('return_max', 0):g}"
        )
    left.set(xlabel="steps of the agent", ylabel="frontier: step of the demonstration")
    right.set(xlabel="episodes")
    left.legend()
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.suptitle("Montezuma's Revenge, first key: the start of the episodes moves back")
    save_figure(figure, options.picture)


if __name__ == "__main__":
    main()
