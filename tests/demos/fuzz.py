"""Damaged and hostile files by the thousand: errors of the library's own, and no crash.

`python -m tests.demos.fuzz 10000` runs as many mutations in a child process, so that a crash of
the emulator shows as the child's end, with the mutation that caused it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hxwrappers.demos import Demo
from hxwrappers.demos.openai import import_openai_demo, read_openai_demo
from hxwrappers.errors import HxWrappersError
from hxwrappers.snapshots.codec import decode, encode
from hxwrappers.snapshots.store import SnapshotLog
from tests.demos import samples

_WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFAB1FAB2)


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """Flip, overwrite, cut, double or drop a part."""
    changed = bytearray(data)
    kind = generator.integers(6)
    at = int(generator.integers(len(changed)))
    if kind == 0:
        for place in generator.integers(len(changed), size=generator.integers(1, 5)):
            changed[place] ^= 1 << int(generator.integers(8))
    elif kind == 1:
        word = int(generator.choice(np.array(_WORDS, np.uint64)))
        at -= at % 4
        changed[at : at + 4] = word.to_bytes(4, "little")
    elif kind == 2:
        changed[at : at + 8] = generator.bytes(8)
    elif kind == 3:
        del changed[at:]
    elif kind == 4:
        length = int(generator.integers(1, 64))
        changed[at:at] = changed[at : at + length]
    else:
        del changed[at : at + int(generator.integers(1, 64))]
    return bytes(changed)


class Fuzz:
    """Mutates one demonstration file and one file of the old kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = samples.frame_env()
        self.demo = samples.record(self.env, 120, every=20)
        self.demo.save(folder / "good.npz")
        samples.write_legacy(folder / "Pong.demo", samples.legacy_document())
        self.document = samples.legacy_document()
        self.env.reset(seed=0)

    def run(self, number: int) -> str:
        """One mutation; returns what became of it."""
        generator = np.random.default_rng(number)
        kinds = (self.file, self.members, self.snapshot, self.state, self.legacy, self.checkpoint)
        try:
            kinds[number % len(kinds)](generator)
        except HxWrappersError as error:
            if not str(error) or len(str(error)) > 5000:
                raise AssertionError(f"an unclear error: {error!r}") from error
            return type(error).__name__
        return "accepted"

    def file(self, generator: np.random.Generator) -> None:
        path = self.folder / "file.npz"
        path.write_bytes(mutated((self.folder / "good.npz").read_bytes(), generator))
        self.use(Demo.load(path), generator)

    def members(self, generator: np.random.Generator) -> None:
        """The archive is whole, but the content of a member is not."""
        path = self.folder / "members.npz"
        with zipfile.ZipFile(self.folder / "good.npz") as good, zipfile.ZipFile(path, "w") as bad:
            names = good.namelist()
            chosen = names[generator.integers(len(names))]
            for name in names:
                content = good.read(name)
                bad.writestr(name, mutated(content, generator) if name == chosen else content)
        self.use(Demo.load(path), generator)

    def snapshot(self, generator: np.random.Generator) -> None:
        """Archive and compression are whole, but an encoded snapshot is not."""
        self.with_snapshot(lambda encoded: mutated(encoded, generator), generator)

    def state(self, generator: np.random.Generator) -> None:
        """Archive, compression and encoding are whole, but the emulator's state is not."""

        def change(encoded: bytes) -> bytes:
            family, observation, layers, base = decode(encoded)
            return encode(
                [
                    family,
                    observation,
                    layers,
                    {**base, "state": self.bad_state(base["state"], generator)},
                ]
            )

        self.with_snapshot(change, generator)

    def bad_state(self, state: bytes, generator: np.random.Generator) -> bytes:
        if generator.integers(4) == 0:
            return mutated(state, generator)
        changed = bytearray(state)
        machine = changed.index(b"M6502Low")
        for _ in range(generator.integers(1, 4)):
            at = machine + 4 * int(generator.integers((len(changed) - machine) // 4 - 1))
            word = int(generator.choice(np.array(_WORDS, np.uint64)))
            if generator.integers(2):
                word = int(generator.integers(1 << 32))
            changed[at : at + 4] = word.to_bytes(4, "little")
        return bytes(changed)

    def with_snapshot(self, change: Any, generator: np.random.Generator) -> None:
        log = SnapshotLog()
        store = self.demo.snapshots
        chosen = int(generator.integers(len(store)))
        for index, step in enumerate(store.steps.tolist()):
            encoded = store.get(index)
            log.append(step, change(encoded) if index == chosen else encoded)
        demo = Demo(
            self.demo.actions,
            self.demo.rewards,
            self.demo.terminations,
            self.demo.truncations,
            self.demo.metadata,
            log.store(),
        )
        demo.save(self.folder / "snapshot.npz")
        loaded = Demo.load(self.folder / "snapshot.npz")
        step = int(store.steps[chosen])
        loaded.restore(self.env, min(step + 3, len(loaded)))

    def use(self, demo: Demo, generator: np.random.Generator) -> None:
        demo.restore(self.env, int(generator.integers(len(demo) + 1)))

    def legacy(self, generator: np.random.Generator) -> None:
        path = self.folder / "bad" / "Pong.demo"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutated((self.folder / "Pong.demo").read_bytes(), generator))
        read_openai_demo(path)
        import_openai_demo(path, game="pong")

    def checkpoint(self, generator: np.random.Generator) -> None:
        """The pickle is whole, but an old state in it is not."""
        states = list(self.document["checkpoints"])
        chosen = int(generator.integers(len(states)))
        bad = self.bad_state(states[chosen].tobytes(), generator)
        states[chosen] = np.frombuffer(bad, np.uint8)
        path = samples.write_legacy(
            self.folder / "Pong-state.demo", {**self.document, "checkpoints": states}
        )
        import_openai_demo(path, game="pong")


def run(first: int, count: int, module: str = "tests.demos.fuzz") -> dict[str, int]:
    """Run the mutations of a module in a child process.

    Raises:
        AssertionError: The child ended in any other way than by finishing.
    """
    command = [sys.executable, "-m", module, "--child", str(first), str(count)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = child.stdout.splitlines()
    if child.returncode or not lines or not lines[-1].startswith("{"):
        raise AssertionError(
            f"the process ended with {child.returncode} at {lines[-1:]}:\n{child.stderr[-3000:]}"
        )
    outcomes: dict[str, int] = json.loads(lines[-1])
    return outcomes


def _child(first: int, count: int, kind: Any) -> None:
    outcomes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        fuzz = kind(Path(folder))
        for number in range(first, first + count):
            _say(f"mutation {number}")
            outcome = fuzz.run(number)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    _say(json.dumps(outcomes))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(kind: Any, module: str) -> None:
    """Run as a program: so many mutations, or the part of them that a child process does."""
    if sys.argv[1] == "--child":
        _child(int(sys.argv[2]), int(sys.argv[3]), kind)
    else:
        _say(str(run(0, int(sys.argv[1]), module)))


if __name__ == "__main__":
    main(Fuzz, "tests.demos.fuzz")
