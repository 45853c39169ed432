"""The kinds of files that the library reads: good ones to begin with, and how they are read.

A format whose parts have checksums comes twice: as the bytes of its file, of which any change must
be noticed, and as its parts put together with right checksums, so that damage gets further in.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.curriculum.stores import FileStore
from hxwrappers.demos import Demo, JournalWriter, recover_demos
from hxwrappers.demos.environment import make_environment
from hxwrappers.demos.metadata import DemoMetadata
from hxwrappers.demos.openai import read_openai_demo
from hxwrappers.recorder.control import parse_message
from hxwrappers.runs.logs import read_run
from hxwrappers.snapshots.codec import decode, encode
from hxwrappers.video import DecodedClip
from hxwrappers.video.synthesis.make import Truth
from tests.demos import samples


class Format(ABC):
    """One kind of file.

    Args:
        folder: An empty folder to work in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def seeds(self) -> list[bytes]:
        """Good inputs."""

    @abstractmethod
    def read(self, data: bytes) -> Any:
        """Read an input; returns what is to be equal to that of a seed, or None for anything."""


class DemoFile(Format):
    """Any change of a demonstration's bytes is noticed, or changes nothing that is read."""

    def seeds(self) -> list[bytes]:
        samples.lake_demo().save(self.folder / "lake.npz")
        samples.record(samples.frame_env(), 30, every=10).save(self.folder / "pong.npz")
        return [(self.folder / name).read_bytes() for name in ("lake.npz", "pong.npz")]

    def read(self, data: bytes) -> Any:
        path = self.folder / "demo.npz"
        path.write_bytes(data)
        demo = Demo.load(path)
        arrays = (demo.actions, demo.rewards, demo.terminations, demo.truncations)
        store = demo.snapshots
        return (
            demo.metadata.to_json(),
            [(array.dtype.str, array.tolist()) for array in arrays],
            [store.steps.tolist(), [store.get(index) for index in range(len(store))]],
        )


class DemoMembers(Format):
    """The archive is whole, its members are anything."""

    def seeds(self) -> list[bytes]:
        found = []
        for data in DemoFile(self.folder).seeds():
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                self.names = archive.namelist()
                found.append(joined([archive.read(name) for name in self.names]))
        return found

    def read(self, data: bytes) -> Any:
        path = self.folder / "members.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in zip(self.names, parted(data), strict=False):
                archive.writestr(name, content)
        demo = Demo.load(path)
        store = demo.snapshots
        for index in range(len(store)):
            decode(store.get(index))
        demo.slice(stop=len(demo) // 2)


class Codec(Format):
    """A frozen state."""

    def seeds(self) -> list[bytes]:
        demo = samples.lake_demo()
        values = [1, -(2**70), "text", b"bytes", None, {1.5: (True, [np.arange(3)])}, {3, 4}]
        return [encode(values), *(demo.snapshots.get(at) for at in range(len(demo.snapshots)))]

    def read(self, data: bytes) -> Any:
        decode(data)


class Legacy(Format):
    """OpenAI's `*.demo`, a pickle that is not unpickled."""

    def seeds(self) -> list[bytes]:
        path = samples.write_legacy(self.folder / "Pong.demo", samples.legacy_document())
        return [path.read_bytes()]

    def read(self, data: bytes) -> Any:
        path = self.folder / "Pong.demo"
        path.write_bytes(data)
        read_openai_demo(path)


class Journal(Format):
    """The journal of a recording: read as what it was up to some record, or not at all."""

    def seeds(self) -> list[bytes]:
        path = self.folder / "seed.journal"
        path.unlink(missing_ok=True)
        writer = JournalWriter(path)
        recording = samples.DemoRecording(samples.lake_env(), snapshot_every=2, journal=writer)
        samples.play(recording, 5)
        recording.rewind(2)
        recording.fork(1)
        recording.resume(samples.lake_demo())
        writer.close()
        self.beginnings = self.of(path.read_bytes())
        return [path.read_bytes()]

    def of(self, data: bytes) -> list[Any]:
        """What the journal says after each of its records."""
        said, at = [self.said(b"")], 8
        while at < len(data):
            at += 13 + struct.unpack_from("<I", data, at + 1)[0]
            said.append(self.said(data[:at]))
        return said

    def said(self, data: bytes) -> Any:
        if not data:
            return []
        path = self.folder / "part.journal"
        path.write_bytes(data)
        return [(demo.actions.tolist(), demo.rewards.tolist()) for demo in recover_demos(path)]

    def read(self, data: bytes) -> Any:
        said = self.said(data)
        return None if said in self.beginnings else said


class JournalRecords(Journal):
    """The checksums are right, the records are anything."""

    def seeds(self) -> list[bytes]:
        (data,) = super().seeds()
        records, at = [], 8
        while at < len(data):
            kind, length = struct.unpack_from("<cI", data, at)
            records.append(kind + data[at + 13 : at + 13 + length])
            at += 13 + length
        return [joined(records)]

    def read(self, data: bytes) -> Any:
        path = self.folder / "records.journal"
        whole = b"hxwjrnl1"
        for record in parted(data):
            head = struct.pack("<cII", record[:1] or b"?", len(record[1:]), zlib.crc32(record[1:]))
            whole += head + struct.pack("<I", zlib.crc32(head)) + record[1:]
        path.write_bytes(whole)
        recover_demos(path)


class Tracker(Format):
    """The file of a success table."""

    def seeds(self) -> list[bytes]:
        path = self.folder / "seed"
        path.unlink(missing_ok=True)
        self.demo = samples.lake_demo()
        SuccessTracker(self.demo, FrontierSettings(window=2), store=FileStore(path))
        return [path.read_bytes()]

    def read(self, data: bytes) -> Any:
        path = self.folder / "tracker"
        path.write_bytes(data)
        tracker = SuccessTracker(self.demo, store=FileStore(path))
        assert 0 <= tracker.frontiers[0] <= len(self.demo)


class ClipFacts(Format):
    """The JSON beside a decoded clip."""

    part = "clip.json"

    def seeds(self) -> list[bytes]:
        frames = np.zeros((30, 6, 8, 3), np.uint8)
        DecodedClip("black", frames, 15.0, np.zeros(9, np.float32), 16_000).save(
            self.folder / "clip"
        )
        return [(self.folder / "clip" / self.part).read_bytes()]

    def read(self, data: bytes) -> Any:
        path = self.folder / "clip" / self.part
        path.unlink()  # the old one may be mapped
        path.write_bytes(data)
        clip = DecodedClip.load(self.folder / "clip")
        assert int(clip.frames.astype(np.int64).sum()) >= 0
        assert clip.seconds > 0


class ClipFrames(ClipFacts):
    """Its frames, a `.npy` file."""

    part = "frames.npy"


class TruthFile(Format):
    """The JSON beside a made video."""

    def seeds(self) -> list[bytes]:
        Truth(10.0, np.array([-1, 5, 6, -1]), {"seed": 3}).save(self.folder / "seed.json")
        return [(self.folder / "seed.json").read_bytes()]

    def read(self, data: bytes) -> Any:
        path = self.folder / "truth.json"
        path.write_bytes(data)
        Truth.load(path).step_at(np.array([0.0, 0.3]))


class StudioMessage(Format):
    """What a page sends."""

    def seeds(self) -> list[bytes]:
        messages: list[dict[str, Any]] = [
            {"type": "hello", "seat": None},
            {"type": "keys", "held": ["left"], "tapped": [], "number": 3},
            {"type": "command", "word": "pause"},
            {"type": "end", "save": True},
            {"type": "ping", "at": 1.5},
        ]
        return [json.dumps(message).encode() for message in messages]

    def read(self, data: bytes) -> Any:
        parse_message(data.decode("utf-8", "surrogateescape"))


class ProgressFile(Format):
    """The table that Stable-Baselines3 logs."""

    name = "progress.csv"

    def seeds(self) -> list[bytes]:
        return [b"time/total_timesteps,rollout/ep_rew_mean,exploration/rooms\n128,2.5,1\n256,,2\n"]

    def read(self, data: bytes) -> Any:
        folder = self.folder / "log"
        folder.mkdir(exist_ok=True)
        (folder / self.name).write_bytes(data)
        read_run(folder)


class EventFile(ProgressFile):
    """A file of TensorBoard."""

    name = "events.out.tfevents.1.here.2.3"

    def seeds(self) -> list[bytes]:
        from hxwrappers.runs.event_log import EventLog  # noqa: PLC0415 - slow to import

        log = EventLog(self.folder / "seed")
        for step in range(3):
            log.add_scalar("rollout/ep_rew_mean", step / 2, step)
        log.close()
        return [next((self.folder / "seed").iterdir()).read_bytes()]


class Tree(Format):
    """A JSON document of which some values are others: three bytes each say what is put where."""

    of: type[Format]

    def seeds(self) -> list[bytes]:
        self.inner = self.of(self.folder)
        self.documents = [json.loads(seed) for seed in self.inner.seeds()]
        numbers = range(len(self.documents))
        return [bytes([number, 0, place, 3 * place]) for number in numbers for place in range(8)]

    def read(self, data: bytes) -> Any:
        document = copied(self.documents[(data[0] if data else 0) % len(self.documents)])
        for at in range(1, min(len(data), 13) - 2, 3):
            places = list(walk(document))
            if places:
                holder, key = places[(256 * data[at] + data[at + 1]) % len(places)]
                what = data[at + 2]
                if what < len(JSON):
                    holder[key] = copied(JSON[what])
                elif isinstance(holder, dict):
                    holder[f"{key}{what}"] = holder.pop(key)
                else:
                    holder.insert(0, copied(holder[key]))
        self.inner.read(json.dumps(document).encode())


NESTED = json.loads("[" * 60 + "]" * 60)
JSON: list[Any] = [
    *(None, True, False, -1, 0, 1, 2**31, 2**40, 2**63, 10**400, -(10**40), 0.5, -1.5, 1e308),
    *(float("nan"), float("inf"), "", "x", "x" * 5000, "\ud800", "../../etc/passwd", [], {}),
    *([1, 2], [[]], {"a": 1}, [0] * 3000, NESTED),
]


class ClipTree(Tree):
    """The values beside a decoded clip."""

    of = ClipFacts


class TruthTree(Tree):
    """The values beside a made video."""

    of = TruthFile


class StudioTree(Tree):
    """The values that a page sends."""

    of = StudioMessage


class Metadata(Format):
    """The JSON in a demonstration."""

    def seeds(self) -> list[bytes]:
        self.demo = samples.lake_demo()
        return [self.demo.metadata.to_json().encode()]

    def read(self, data: bytes) -> Any:
        metadata = DemoMetadata.from_json(data.decode("utf-8", "surrogateescape"))
        demo = Demo(
            self.demo.actions,
            self.demo.rewards,
            self.demo.terminations,
            self.demo.truncations,
            metadata,
            self.demo.snapshots,
        )
        env = samples.lake_env()
        demo.slice(stop=3).save(self.folder / "metadata.npz")
        Demo.load(self.folder / "metadata.npz").restore(env, 2)
        make_environment(demo)


class MetadataTree(Tree):
    """The values in it."""

    of = Metadata


def copied(value: Any) -> Any:
    """A document's lists and dicts anew."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list | tuple) else value


def walk(value: Any) -> Any:
    """Every place in a document: what holds it, and under which key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from walk(value[key])


def joined(parts: list[bytes]) -> bytes:
    """Several parts as one input."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def parted(data: bytes) -> list[bytes]:
    """The parts of an input, as far as there are whole ones."""
    parts, at = [], 0
    while at + 4 <= len(data) and len(parts) < 200:
        (length,) = struct.unpack_from("<I", data, at)
        parts.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return parts
