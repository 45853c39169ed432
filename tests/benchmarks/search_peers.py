"""Search beside a public re-implementation of go-explore, on as many frames of the game.

    python -m tests.benchmarks.search_peers --rlcode PATH --frames 2000000 --seeds 0 1 2

PATH is a checkout of github.com/rlcode/reinforcement-learning (3d421f6): its
`4-atari-hard/2-go-explore.py` runs as it is, with one explorer, in a process of its own. Its cells
are the frame in 11 x 8 pixels of 9 levels of grey; beside it this library's search with the same
knowledge (`frame`, 11 x 8 of 8 levels) and with that of `montezuma`, with one worker. Frames are
the emulator's. What has run is not run again.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from hxwrappers.runs.plots import pyplot, save_figure
from hxwrappers.search.cells import CellSettings, Limits, Progress, Search, SearchSettings
from tests.benchmarks.noted_rooms import ROOMS, noting_rooms
from tests.benchmarks.page import put, spread

GAME = "ALE/MontezumaRevenge-v5"
KINDS = {
    "rlcode": "rlcode, cells from frames",
    "frame": "here, cells from frames",
    "montezuma": "here, cells from RAM",
}
SKIP = 4


@dataclass(frozen=True)
class Options:
    """What to run."""

    rlcode: Path
    frames: int = 2_000_000
    seeds: tuple[int, ...] = (0, 1, 2)
    kinds: tuple[str, ...] = tuple(KINDS)
    folder: Path = Path("runs/search_peers")
    picture: Path = field(default=Path("docs/images/search_peers.png"))
    page: Path | None = None


Point = tuple[int, float, int]
"""Frames, best score, rooms."""


def theirs(options: Options, seed: int, folder: Path) -> tuple[list[Point], float]:
    """The points of its log, and seconds of processor time."""
    source = options.rlcode / "4-atari-hard"
    steps = str(options.frames // SKIP)
    command = [sys.executable, "2-go-explore.py", "--n-workers", "1", "--total-frames", steps]
    command += ["--seed", str(seed), "--run-dir", str(folder.resolve())]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    points = [
        (SKIP * row["frames"], float(row["max_archive_score"]), row["rooms_found"]) for row in rows
    ]
    return points, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(options: Options, kind: str, seed: int) -> tuple[list[Point], float]:
    """The points after each exchange, and seconds of processor time."""
    cells = f"{noting_rooms.__module__}:{noting_rooms.__name__}" if kind == "frame" else kind
    search = Search(SearchSettings(GAME, cells=CellSettings(cells), seed=seed))
    points: list[Point] = []
    ROOMS.clear()

    def note(progress: Progress) -> None:
        points.append((progress.steps, progress.score, progress.rooms or len(ROOMS)))

    start = time.process_time()
    search.run(Limits(steps=options.frames), note)
    return points, time.process_time() - start


def run(options: Options, kind: str, seed: int) -> dict[str, Any]:
    """Search, unless it was done before."""
    path = options.folder / f"{kind}-{seed}.json"
    if not path.exists():
        folder = options.folder / f"{kind}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        points, seconds = (
            theirs(options, seed, folder) if kind == "rlcode" else ours(options, kind, seed)
        )
        path.write_text(json.dumps({"points": points, "seconds": seconds}))
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def main() -> None:
    """Run what is missing, then report."""
    options = tyro.cli(Options)
    plt: Any = pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
    rows: list[list[str]] = []
    for color, kind in enumerate(options.kinds):
        runs = [run(options, kind, seed) for seed in options.seeds]
        curves = [np.array(each["points"]).T for each in runs]
        first = [next((n for n, score, _ in each["points"] if score > 0), None) for each in runs]
        rows.append(
            [
                KINDS[kind],
                ", ".join(f"{scores[-1]:,.0f}" for _, scores, _ in curves),
                ", ".join(f"{rooms[-1]:.0f}" for _, _, rooms in curves),
                ", ".join("never" if frames is None else f"{frames:,.0f}" for frames in first),
                spread((options.frames / each["seconds"] for each in runs), ",.0f"),
            ]
        )
        for seed, (frames, scores, rooms) in enumerate(curves):
            for axis, values in zip(axes, (scores, rooms), strict=True):
                label = None if seed else KINDS[kind]
                axis.step(frames / 1e6, values, where="post", color=f"C{color}", label=label)
    for axis, what in zip(axes, ("best score", "rooms"), strict=True):
        axis.set(xlabel="million frames of the game", ylabel=what)
        axis.grid(alpha=0.3)
    axes[1].yaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(fontsize=8)
    save_figure(figure, options.picture)
    seeds = ", ".join(map(str, options.seeds))
    header = [f"{options.frames:,} frames, seeds {seeds}", "best score", "rooms"]
    header += ["frames to the first 100 points", "frames a second of processor time"]
    put(options.page, "search_peers", header, rows)


if __name__ == "__main__":
    main()
