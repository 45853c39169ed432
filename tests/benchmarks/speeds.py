"""Steps a second of whole training programs, each in a session of its own.

Nothing here needs this library, so that programs of other environments can tell their speed too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["WARM_UP", "Marks", "Speed", "in_turn", "processes_of", "processor_time"]

WARM_UP = 5.0
"""Seconds from the first update to the beginning of the measurement."""


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a run was.

    Attributes:
        steps: Agent steps a second.
        per_cpu: Agent steps a second of processor time, of all processes together.
        cores: Processor time a second.
        note: What else there is to say.
    """

    steps: float
    per_cpu: float
    cores: float
    note: str = ""

    def __str__(self) -> str:
        return (
            f"{self.steps:8.0f} steps/s {self.per_cpu:8.0f} steps/cpu-s "
            f"{self.cores:5.2f} cores {self.note}"
        )

    def tell(self) -> None:
        """Print it for `in_turn`."""
        print(json.dumps(dataclasses.asdict(self)), flush=True)


class Marks:
    """Tells the speed of the program that it runs in, from update to update.

    Args:
        seconds: How long to measure after the warm-up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._first: float | None = None
        self._began: tuple[float, float, float] | None = None
        self._told = False

    def mark(self, steps: float) -> None:
        """Say after an update how many agent steps there were up to now; 0 is no update."""
        now = time.perf_counter()
        if not steps:
            return
        if self._first is None:
            self._first = now
        if self._told or now - self._first < WARM_UP:
            return
        here = (steps, now, sum(map(processor_time, processes_of(os.getsid(0)))))
        if self._began is None:
            self._began = here
        elif now - self._began[1] > self._seconds:
            pairs = zip(here, self._began, strict=True)
            done, wall, cpu = (after - before for after, before in pairs)
            Speed(done / wall, done / cpu, cpu / wall).tell()
            self._told = True


def processor_time(process_id: int) -> float:
    """Seconds of the processor that a process has had; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes_of(session: int) -> list[int]:
    """The processes of a session, and what they started outside of it."""
    parents, found = {}, {session}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
            if int(fields[3]) == session:
                found.add(int(path.parent.name))
    grown = True
    while grown:
        more = {process for process, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return sorted(found)


def in_turn(
    command: Sequence[str], patience: float, settings: Mapping[str, str] | None = None
) -> Speed:
    """Run a program until it tells its speed, and end it with all that it started.

    Args:
        command: The program.
        patience: Seconds after which it is ended anyway.
        settings: Environment variables.

    Raises:
        SystemExit: It told nothing.
    """
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(settings or {})},
        )
        assert process.stdout is not None
        timer = threading.Timer(patience, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            line = next((line for line in process.stdout if line.startswith('{"steps"')), None)
        finally:
            timer.cancel()
            for one in processes_of(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        if line is None:
            complaints.seek(0)
            raise SystemExit(f"{command} told nothing:\n{complaints.read()[-3000:]}")
    return Speed(**json.loads(line))
