"""A clip as arrays: frames at a steady rate, and the sound that belongs to them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import VideoError

__all__ = ["DecodedClip"]


@dataclass(frozen=True, eq=False)
class DecodedClip:
    """A clip as arrays.

    Attributes:
        name: What to call it.
        frames: `(frames, height, width, 3)`, RGB, `uint8`.
        frames_per_second: Frame t is shown at `t / frames_per_second` seconds.
        sound: Mono samples in [-1, 1] of mean zero, `float32`; empty where there is no sound.
        sample_rate: Sample i is heard at `i / sample_rate` seconds, from the same origin.
    """

    name: str
    frames: npt.NDArray[np.uint8]
    frames_per_second: float
    sound: npt.NDArray[np.float32]
    sample_rate: int

    def __len__(self) -> int:
        return len(self.frames)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the clip to a folder."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        np.save(target / "frames.npy", self.frames)
        np.save(target / "sound.npy", self.sound)
        facts = {
            "name": self.name,
            "frames_per_second": self.frames_per_second,
            "sample_rate": self.sample_rate,
        }
        (target / "clip.json").write_text(json.dumps(facts))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> DecodedClip:
        """Read what `save` wrote, the arrays as memory maps.

        Raises:
            VideoError: The folder holds no clip.
        """
        source = Path(folder)
        try:
            facts = json.loads((source / "clip.json").read_text())
            frames = np.load(source / "frames.npy", mmap_mode="r", allow_pickle=False)
            sound = np.load(source / "sound.npy", allow_pickle=False)
            return cls(
                str(facts["name"]),
                frames,
                float(facts["frames_per_second"]),
                sound,
                int(facts["sample_rate"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise VideoError(f"{source} holds no decoded clip ({error}).") from error
