"""The journal of a recording: every step on disk at once, so that a killed process loses nothing.

A journal is a header (`hxwjrnl1`) and records that are only ever appended: kind (1 byte), length
(`uint32`), CRC-32 of the content (`uint32`), CRC-32 of these 9 bytes (`uint32`), content. The
kinds: `B` a run begins (metadata as JSON), `P` steps taken over from an earlier demonstration, `A`
a step (action, reward, ends), `S` a snapshot, `R` a rewind, `F` a fork: the run ends here, and
another one begins with its first steps. Contents other than `B` are in the encoding of
`hxwrappers.snapshots.codec`. A last record that was cut off by the end of the process is dropped.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hxwrappers.demos.demo import Demo
from hxwrappers.demos.metadata import DemoMetadata, smallest_integers
from hxwrappers.errors import MALFORMED, DemoError, HxWrappersError
from hxwrappers.files.atomic import AppendFile, exclusive_lock
from hxwrappers.snapshots.codec import decode, encode
from hxwrappers.snapshots.store import SnapshotLog, SnapshotStore, inflate

if TYPE_CHECKING:
    from hxwrappers.demos.demo import Demo


_MAGIC = b"hxwjrnl1"
_HEAD = struct.Struct("<cII")
_CHECK = struct.Struct("<I")


class JournalWriter:
    """Appends what happens to a file, each record with one unbuffered write.

    What was written is with the operating system and survives the end of the process, `SIGKILL`
    included. (A power cut can lose what the system had not yet put on disk: some seconds.) While
    the disk is full records wait in memory; a `FileWriteWarning` says so.

    Args:
        path: The journal; an existing one is continued.

    Raises:
        DemoError: The file exists and is no journal, or another recorder writes it.
        FileWriteError: The file cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        place = self.path.resolve()  # one file has one lock, by whatever name it is called
        refusal = DemoError(
            f"Another recorder writes this journal, {self.path}; give each its own, or close the "
            "other one first."
        )
        lock = place.with_name(f"{place.name}.writer.lock")
        with ExitStack() as stack:
            stack.enter_context(exclusive_lock(lock, refusal, remove=True))
            end = _usable_length(self.path) if self.path.exists() else 0
            self._file = AppendFile(self.path, end)
            if not end:
                self._file.append(_MAGIC)
            self._held = stack.pop_all()

    @property
    def is_whole(self) -> bool:
        """Whether everything is in the file, rather than waiting for room on the disk."""
        return not self._file.waits

    def begin(self, metadata: DemoMetadata) -> None:
        """A run begins."""
        self._write(b"B", metadata.to_json().encode())

    def adopt(self, demo: Demo) -> None:
        """The run goes on from a demonstration."""
        store = demo.snapshots
        self._write(
            b"P",
            encode(
                {
                    "actions": demo.actions,
                    "rewards": demo.rewards,
                    "terminations": demo.terminations,
                    "truncations": demo.truncations,
                    "steps": store.steps,
                    "dictionary": store.dictionary,
                    "offsets": store.offsets,
                    "data": store.data,
                    "seams": list(demo.metadata.seams),
                }
            ),
        )

    def step(self, action: Any, reward: float, terminated: bool, truncated: bool) -> None:
        """A step was taken."""
        self._write(b"A", encode([np.asarray(action), reward, terminated, truncated]))

    def snapshot(self, step: int, encoded: bytes) -> None:
        """A snapshot was taken after `step` actions."""
        self._write(b"S", encode([step, zlib.compress(encoded, 1)]))

    def rewind(self, step: int) -> None:
        """The run went back to a step."""
        self._write(b"R", encode(step))

    def fork(self, step: int) -> None:
        """The run is kept as it is, and another one goes on from a step of it."""
        self._write(b"F", encode(step))

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        try:
            self._file.close()
        finally:
            self._held.close()

    def discard(self) -> None:
        """Delete the file, before another recorder could write it."""
        with self._held:
            self._file.close()
            self.path.unlink(missing_ok=True)

    def _write(self, kind: bytes, content: bytes) -> None:
        head = _HEAD.pack(kind, len(content), zlib.crc32(content))
        self._file.append(head + _CHECK.pack(zlib.crc32(head)) + content)


def recover_demos(path: str | os.PathLike[str]) -> list[Demo]:
    """The demonstrations in a journal, also in that of a process that was killed.

    Args:
        path: The journal.

    Returns:
        One demonstration per run that has at least one step, in their order.

    Raises:
        DemoError: The file is missing, no journal, or damaged before its end.
    """
    runs: list[_Run] = []
    try:
        for kind, content, _ in _records(Path(path)):
            _replay_record(runs, kind, content)
        return [run.demo() for run in runs if run.rewards]
    except DemoError:
        raise
    except (HxWrappersError, *MALFORMED) as error:
        raise DemoError(f"{os.fspath(path)} is a damaged journal: {error}") from error


class _Run:
    def __init__(self, metadata: DemoMetadata) -> None:
        self.metadata = metadata
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.ends: list[tuple[bool, bool]] = []
        self.log = SnapshotLog()

    def adopt(self, part: dict[str, Any]) -> None:
        self.actions = list(part["actions"])
        self.rewards = part["rewards"].tolist()
        self.ends = list(
            zip(part["terminations"].tolist(), part["truncations"].tolist(), strict=True)
        )
        self.log = SnapshotLog(
            SnapshotStore(part["steps"], part["dictionary"], part["offsets"], part["data"])
        )
        self.metadata = self.metadata.with_seams(tuple(part["seams"]))

    def forked(self, step: int) -> _Run:
        twin = _Run(self.metadata)
        twin.actions, twin.rewards = list(self.actions), list(self.rewards)
        twin.ends, twin.log = list(self.ends), self.log.copy()
        twin.cut(step)
        return twin

    def cut(self, step: int) -> None:
        del self.actions[step:], self.rewards[step:], self.ends[step:]
        self.log.cut(step)
        seams = tuple(seam for seam in self.metadata.seams if seam <= step)
        self.metadata = self.metadata.with_seams(seams)

    def demo(self) -> Demo:
        ends = np.array(self.ends, np.bool_).reshape(-1, 2)
        actions = np.stack([np.asarray(action) for action in self.actions])
        if actions.dtype.kind in "iu" and actions.ndim == 1:
            actions = smallest_integers(actions)
        return Demo(
            actions,
            np.array(self.rewards, np.float64),
            ends[:, 0],
            ends[:, 1],
            self.metadata,
            self.log.store(),
        )


def _replay_record(runs: list[_Run], kind: bytes, content: bytes) -> None:
    if kind == b"B":
        runs.append(_Run(DemoMetadata.from_json(content.decode())))
        return
    if not runs:
        raise DemoError("The journal has a step before any run began; it is damaged.")
    run = runs[-1]
    value = decode(content)
    match kind, value:
        case b"A", [np.ndarray() as action, float(reward), bool(terminated), bool(truncated)]:
            run.actions.append(action)
            run.rewards.append(reward)
            run.ends.append((terminated, truncated))
        case b"S", [int(step), bytes(packed)]:
            run.log.append(step, inflate(packed, f"The snapshot at step {step}"))
        case b"R", int(step):
            run.cut(step)
        case b"F", int(step):
            runs.append(run.forked(step))
        case b"P", dict(part):
            run.adopt(part)
        case _:
            raise DemoError(f"The journal has a malformed record of kind {kind!r}.")


def _usable_length(path: Path) -> int:
    if not path.stat().st_size:
        return 0
    if path.stat().st_size < len(_MAGIC) and list(_records(path)) == []:
        return 0  # its writer was killed in the midst of the header
    return max((end for _, _, end in _records(path)), default=len(_MAGIC))


def _records(path: Path) -> Iterator[tuple[bytes, bytes, int]]:
    if not path.is_file():
        raise DemoError(f"There is no journal at {path}.")
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
        if magic != _MAGIC[: len(magic)] or not magic:
            raise DemoError(f"{path} is no journal of a recording.")
        while True:
            at = file.tell()
            head, check = file.read(_HEAD.size), file.read(_CHECK.size)
            if len(check) < _CHECK.size:
                return
            kind, length, checksum = _HEAD.unpack(head)
            whole = _CHECK.pack(zlib.crc32(head)) == check
            if whole and length > size - file.tell():
                return
            content = file.read(length) if whole else b""
            whole = whole and zlib.crc32(content) == checksum
            if not whole and file.tell() < size:
                raise DemoError(
                    f"{path} is damaged at byte {at}: a record does not have its checksum. Cut the "
                    "file off there to recover what is before."
                )
            if not whole:
                return
            yield kind, content, file.tell()
