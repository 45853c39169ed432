"""How the cost of each wrapper grows with environments, observations and demonstrations.

    python -m tests.benchmarks.scaling [--demo MontezumaRevenge.demo] [--picture PATH]

Everything is measured at 1, 10 and 100 times the size: processor time of a step of all environments
(training included, where the wrapper trains), and by how much the memory of the process grows at
its peak over what it had before the wrapper was made. The slope is that of a line through the first
and the last size in a plot with two logarithmic axes: 1 grows in proportion, less is better. The
three sizes of a part run in turns, each in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from hxwrappers.demos import shipped
from hxwrappers.demos.openai import import_openai_demo
from hxwrappers.runs.plots import pyplot, save_figure
from tests.benchmarks.scaling_parts import AXES, FACTORS, Part, parts

SMALL = 2.0
"""Megabytes below which a process's memory tells nothing about a wrapper."""


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        demo: A demonstration of OpenAI's; the library's longest one where None.
        rounds: How often each size is measured.
        axes: What shall grow.
        tables: What earlier runs printed; the parts in them are not measured again.
        picture: Where to draw it.
    """

    demo: Path | None = None
    rounds: int = 5
    axes: tuple[str, ...] = AXES
    tables: tuple[Path, ...] = ()
    picture: Path | None = None


@dataclass(frozen=True)
class Growth:
    """What a part costs at each size.

    Attributes:
        part: What was measured.
        seconds: Processor time of a step of all environments, `(rounds, sizes)`.
        megabytes: Peak of the memory, `(sizes,)`.
    """

    part: Part
    seconds: np.ndarray
    megabytes: np.ndarray

    def slopes(self) -> np.ndarray:
        """Of the time, in each round."""
        return np.log(self.seconds[:, -1] / self.seconds[:, 0]) / np.log(FACTORS[-1] / FACTORS[0])

    def memory_slope(self) -> float:
        """Between the sizes whose memory is seen at all; NaN if there are less than two."""
        seen = [
            (factor, size)
            for factor, size in zip(FACTORS, self.megabytes, strict=True)
            if size >= SMALL
        ]
        if len(seen) < 2:
            return float("nan")
        (first, small), (last, large) = seen[0], seen[-1]
        return float(np.log(large / small) / np.log(last / first))

    def rows(self) -> list[str]:
        """The lines of the table."""
        low, middle, high = np.quantile(self.slopes(), (0.0, 0.5, 1.0))
        slope = f"{middle:5.2f} ({low:.2f} to {high:.2f})   memory {self.memory_slope():5.2f}"
        steps = np.median(self.seconds, axis=0)
        lines = []
        for factor, one, size in zip(FACTORS, steps, self.megabytes, strict=True):
            each = 1e6 * one / self.part.envs(factor)
            lines.append(f"    x{factor:<4} {each:12,.1f} us an env-step {size:10,.1f} MB")
        return [f"{self.part.title}   time {slope}", *lines]


def memory(name: str) -> float:
    """A line of the process's status, in megabytes."""
    status = Path("/proc/self/status").read_text()
    return float(status.split(f"{name}:")[1].split()[0]) / 1024


def serve(part: Part, factor: int, pipe: Connection) -> None:
    """Measure one size whenever asked to, and tell the memory at the end."""
    torch.set_num_threads(1)
    make = part.prepare(factor)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak up to now
    before = memory("VmRSS")
    call = make()
    call()
    call()
    pipe.send(0.0)
    while pipe.recv():
        start = time.process_time()
        call()
        pipe.send((time.process_time() - start) / part.units)
    pipe.send(memory("VmHWM") - before)


def measure(part: Part, rounds: int) -> Growth:
    """All sizes of a part, in turns."""
    context: Any = multiprocessing.get_context("fork")
    pipes, processes = [], []
    for factor in FACTORS:
        pipe, other = context.Pipe()
        process = context.Process(target=serve, args=(part, factor, other), daemon=True)
        process.start()
        other.close()
        pipe.recv()
        pipes.append(pipe)
        processes.append(process)

    def turn(go_on: bool) -> list[float]:
        answers = []
        for pipe in pipes:
            pipe.send(go_on)
            answers.append(float(pipe.recv()))
        return answers

    seconds = np.array([turn(True) for _ in range(rounds)])
    megabytes = np.array(turn(False))
    for process in processes:
        process.join()
    return Growth(part, seconds, megabytes)


def read(tables: Sequence[Path], known: Sequence[Part]) -> dict[str, Growth]:
    """What earlier runs printed, by the beginning of their rows."""
    found = {}
    lines = [line for table in tables for line in table.read_text().splitlines()]
    for part in known:
        for at, line in enumerate(lines):
            if line.startswith(f"{part.title}   "):
                rows = [line.split() for line in lines[at + 1 : at + 1 + len(FACTORS)]]
                numbers = [[float(row[place].replace(",", "")) for place in (1, 5)] for row in rows]
                each, megabytes = np.array(numbers).T
                seconds = 1e-6 * each * [part.envs(factor) for factor in FACTORS]
                found[part.title] = Growth(part, seconds[None], megabytes)
    return found


def draw(growths: list[Growth], path: Path) -> None:
    """Time, in multiples of the smallest size, and memory over size, with what is proportional."""
    figure, axes = pyplot().subplots(2, len(AXES), figsize=(11, 7), sharex=True, sharey="row")
    names = list(dict.fromkeys(growth.part.name for growth in growths))
    lines = {}
    for growth in growths:
        top, bottom = axes[:, AXES.index(growth.part.axis)]
        name = growth.part.name
        style = {"color": f"C{names.index(name)}", "marker": "o"}
        steps = np.median(growth.seconds, axis=0)
        (lines[name],) = top.plot(FACTORS, steps / steps[0], **style)
        sizes = np.where(growth.megabytes >= SMALL, growth.megabytes, np.nan)
        bottom.plot(FACTORS, sizes, **style)
    for axis, (top, bottom) in zip(AXES, axes.T, strict=True):
        (lines["in proportion"],) = top.plot(FACTORS, FACTORS, "k--", lw=1)
        for start in 10.0 ** np.arange(-1, 4):
            bottom.plot(FACTORS, start * np.array(FACTORS), "k--", lw=0.5)
        top.set_title(f"{axis}, times as {'long' if axis == 'demonstration' else 'many'}")
        for panel in (top, bottom):
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.set_xticks(FACTORS, [str(factor) for factor in FACTORS])
            panel.grid(alpha=0.3)
    axes[1, 0].set_ylim(SMALL / 2, 10_000)
    axes[0, 0].set_ylabel("time of a step, times as long")
    axes[1, 0].set_ylabel("memory, MB")
    figure.legend(lines.values(), lines, loc="lower center", ncols=4, fontsize=8)
    save_figure(figure, path, rect=(0, 0.08, 1, 1))


def main() -> None:
    options = tyro.cli(Options)
    print(f"load {os.getloadavg()[0]:.1f}, {options}", flush=True)
    demo = shipped("montezuma-long") if options.demo is None else import_openai_demo(options.demo)
    wanted = [part for part in parts(demo) if part.axis in options.axes]
    growths = read(options.tables, wanted)
    for part in wanted:
        if part.title not in growths:
            growths[part.title] = measure(part, options.rounds)
            print("\n".join(growths[part.title].rows()), flush=True)
    if options.picture is not None:
        draw([growths[part.title] for part in wanted], options.picture)


if __name__ == "__main__":
    main()
