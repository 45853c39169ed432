"""What one fuzzing process does: inputs by the thousand, each read under limits."""

from __future__ import annotations

import faulthandler
import hashlib
import importlib
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from hxwrappers.errors import HxWrappersError
from tests.demos.fuzz import mutated

SECONDS = 20.0  # of the processor, for one input
SLOW = 3.0
ROOM = 1 << 30  # bytes that reading may take beyond what the process has
LONGEST = 1 << 14
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pty.")
FORMATS = {
    "demo": "formats:DemoFile",
    "demo-members": "formats:DemoMembers",
    "codec": "formats:Codec",
    "legacy": "formats:Legacy",
    "journal": "formats:Journal",
    "journal-records": "formats:JournalRecords",
    "tracker": "formats:Tracker",
    "clip-facts": "formats:ClipFacts",
    "clip-frames": "formats:ClipFrames",
    "truth": "formats:TruthFile",
    "studio": "formats:StudioMessage",
    "clip-tree": "formats:ClipTree",
    "truth-tree": "formats:TruthTree",
    "studio-tree": "formats:StudioTree",
    "metadata": "formats:Metadata",
    "metadata-tree": "formats:MetadataTree",
    "progress-csv": "formats:ProgressFile",
    "tensorboard": "formats:EventFile",
    "checkpoint": "states:CheckpointFile",
    "checkpoint-header": "states:CheckpointHeader",
    "checkpoint-state": "states:CheckpointState",
    "sb3-zip": "states:ZipOfSB3",
}


class WatchedActor:
    """Reads inputs of one format and keeps account of what becomes of them.

    Args:
        name: The format.
        folder: An empty folder.
        findings: Where inputs that are handled wrongly are kept.
    """

    def __init__(self, name: str, folder: Path, findings: Path) -> None:
        self.name, self.findings = name, findings
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0
        self.acts: list[str] = []
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        module, _, kind = FORMATS[name].partition(":")
        self.format = getattr(importlib.import_module(f"tests.fuzz.{module}"), kind)(folder)
        self.seeds = self.format.seeds()
        self.accepted = [self._good(seed) for seed in self.seeds]
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        sys.addaudithook(self._hear)
        faulthandler.register(signal.SIGPROF, chain=True)
        self.began = time.perf_counter()

    def _good(self, seed: bytes) -> Any:
        """What a seed says; some begin with a value that is another one."""
        try:
            return self.format.read(seed)
        except Exception:  # that is found out when it is read again
            return None

    def _hear(self, event: str, _: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            self.acts.append(event)

    def read(self, data: bytes) -> None:
        """Read one input and judge what came of it."""
        (self.findings / "latest").write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its end is that of the process
        began = time.process_time()
        try:
            outcome = self._outcome(data)
        except Exception as error:  # whatever it is, it is a finding
            outcome = self._note(data, f"{type(error).__name__} at {_place(error)}", error)
        took = time.process_time() - began
        self.slowest = max(self.slowest, took)
        if took > SLOW:
            outcome = self._note(data, f"took {took:.0f} s", None)
        if self.acts:
            self._note(data, f"did {self.acts}", None)
            self.acts.clear()
        self.outcomes[outcome] += 1

    def _outcome(self, data: bytes) -> str:
        try:
            said = self.format.read(data)
        except (HxWrappersError, DependencyNotInstalled) as error:
            if not str(error) or len(str(error)) > 5000:
                return self._note(data, f"unclear {type(error).__name__}", error)
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, MemoryError) or "allocate memory" in str(cause):
                    return self._note(data, f"asked for memory at {_place(cause)}", cause)
                cause = cause.__cause__ or cause.__context__
            return type(error).__name__
        if said is not None and data not in self.seeds and said not in self.accepted:
            return self._note(data, "accepted damage", None)
        return "accepted"

    def _note(self, data: bytes, what: str, error: BaseException | None) -> str:
        digest = hashlib.sha256(what.encode()).hexdigest()[:12]
        path = self.findings / f"{self.name}-{digest}"
        if not path.exists():
            path.write_bytes(data)
            told = "" if error is None else "".join(traceback.format_exception(error))
            path.with_suffix(".txt").write_text(f"{what}\n{told}"[-6000:])
        return f"FINDING {what}"

    def tell(self) -> None:
        """Print the account, and end."""
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.memory
        account = {
            "format": self.name,
            "inputs": self.outcomes.total(),
            "seconds": round(time.perf_counter() - self.began, 1),
            "slowest": round(self.slowest, 3),
            "grown_mib": grown // 1024,
            "outcomes": dict(self.outcomes.most_common()),
        }
        os.write(1, (json.dumps(account) + "\n").encode())
        os._exit(0)


def _place(error: BaseException) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "hxwrappers" in frame.filename
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "elsewhere"


def blind(watched: WatchedActor, count: int, seed: int) -> None:
    """Inputs by mutation alone: one to four after each other of a seed, or of what was accepted."""
    generator = np.random.default_rng(seed)
    pool = list(watched.seeds)
    for _ in range(count):
        data = pool[generator.integers(len(pool))]
        for _ in range(generator.integers(1, 5)):
            if data:
                data = mutated(data, generator)
        before = watched.outcomes["accepted"]
        watched.read(data[:LONGEST])
        if watched.outcomes["accepted"] > before and len(pool) < 1000:
            pool.append(data[:LONGEST])


def guided(watched: WatchedActor, count: int, seed: int, corpus: Path) -> None:
    """Inputs by libFuzzer, which is told which branches of the library each one took."""
    import atheris  # noqa: PLC0415 - where it is installed

    corpus.mkdir()
    for number, data in enumerate(watched.seeds):
        (corpus / f"seed-{number}").write_bytes(data)

    def read(data: bytes) -> None:
        watched.read(data)
        if watched.outcomes.total() == count:  # libFuzzer ends without ever returning
            watched.tell()

    options = [f"-runs={2 * count}", f"-seed={seed + 1}", f"-max_len={LONGEST}", "-timeout=3000"]
    options += ["-rss_limit_mb=0", "-verbosity=0", "-detect_leaks=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], read)
    atheris.Fuzz()


def main(arguments: list[str], *, is_guided: bool) -> None:
    """The child: format, inputs, seed, a folder to work in, one for findings."""
    name, count, seed, folder, findings = arguments
    watched = WatchedActor(name, Path(folder), Path(findings))
    if is_guided:
        guided(watched, int(count), int(seed), Path(folder) / "corpus")
    else:
        blind(watched, int(count), int(seed))
        watched.tell()


if __name__ == "__main__":
    main(sys.argv[1:], is_guided=False)
