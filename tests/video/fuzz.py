"""Truncated and bit-flipped videos and clips by the hundred: clear errors, and no crash.

`python -m tests.video.fuzz 5000` runs as many in a child process, so that a crash of a decoder
shows as the child's end, with the mutation that caused it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np

from hxwrappers.errors import HxWrappersError
from hxwrappers.video import Clip, DecodedClip
from tests.demos.fuzz import main, mutated
from tests.video import samples

_BROKEN_SECONDS = 40.0


class Fuzz:
    """Mutates one video of each container, and one decoded clip."""

    def __init__(self, folder: Path) -> None:
        logging.getLogger("libav").setLevel(logging.CRITICAL)
        av.logging.set_level(av.logging.PANIC)
        self.folder = folder
        self.videos = [
            samples.clicks(folder / "good.mp4", (3,), 24),
            samples.clicks(folder / "good.mkv", (3,), 24),
            samples.clicks(folder / "good.webm", (3,), 24),
            samples.clicks(folder / "exact.mkv", (3,), 24, lossless=True),
        ]
        Clip(self.videos[0], size=(20, 20)).decode(folder / "clip")

    def run(self, number: int) -> str:
        """One mutation; returns what became of it."""
        generator = np.random.default_rng(number)
        try:
            if number % 5 == 4:
                self.folder_of_arrays(generator)
            else:
                self.video(self.videos[number % 5], generator)
        except HxWrappersError as error:
            if not str(error) or len(str(error)) > 2000:
                raise AssertionError(f"an unclear error: {error!r}") from error
            return type(error).__name__
        return "accepted"

    def video(self, path: Path, generator: np.random.Generator) -> None:
        bad = self.folder / f"bad{path.suffix}"
        data = path.read_bytes()
        if generator.integers(3) == 0:  # the headers are small and matter most
            head = int(generator.integers(1, 1500))
            bad.write_bytes(mutated(data[:head], generator) + data[head:])
        elif generator.integers(3) == 0:
            tail = int(generator.integers(1, 1500))
            bad.write_bytes(data[:-tail] + mutated(data[-tail:], generator))
        else:
            bad.write_bytes(mutated(data, generator))
        clip = Clip(
            bad,
            size=(20, 20),
            crop=(-5, -5, 40, 40),
            longest=_BROKEN_SECONDS,
            accept_truncated=bool(generator.integers(2)),
        )
        decoded = clip.decode(self.folder / "decoded")
        assert np.isfinite(decoded.sound).all()
        assert len(decoded.sound) in (0, round(len(decoded) * 16_000 / 15))

    def folder_of_arrays(self, generator: np.random.Generator) -> None:
        clip = DecodedClip.load(self.folder / "clip")
        clip.save(self.folder / "other")
        name = str(generator.choice(["clip.json", "frames.npy", "sound.npy"]))
        path = self.folder / "other" / name
        data = path.read_bytes()
        path.write_bytes(mutated(data[:128], generator) + data[128:])
        DecodedClip.load(self.folder / "other")


if __name__ == "__main__":
    main(Fuzz, "tests.video.fuzz")
