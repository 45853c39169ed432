"""Which step of a demonstration a made video shows at which time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._files import atomic_write
from hxwrappers._text import brief
from hxwrappers.errors import VideoFileError
from hxwrappers.video.timeline import EPSILON

__all__ = ["NO_STEP", "Truth", "truth_path"]

FORMAT = "hxwrappers-truth"
VERSION = 1
NO_STEP = -1
_LARGEST = 1 << 53


def truth_path(video: str | os.PathLike[str]) -> Path:
    """Where the truth about a made video is kept: beside it.

    Example:
        >>> truth_path("clips/one.mp4").name
        'one.truth.json'
    """
    return Path(video).with_suffix(".truth.json")


@dataclass(frozen=True, eq=False)
class Truth:
    """Which step of a demonstration a made video shows at which time.

    Attributes:
        frames_per_second: Rate of the video.
        steps: The step that each frame of the video shows, `int64`, `(frames,)`; -1 where it shows
            no game.
        made: How the video was made, as JSON values.

    Example:
        >>> truth = Truth(10.0, np.array([-1, 5, 6, -1]))
        >>> truth.step_at([0.05, 0.1, 0.29, 7.0]).tolist()
        [-1, 5, 6, -1]
    """

    frames_per_second: float
    steps: npt.NDArray[np.int64]
    made: Mapping[str, Any] = field(default_factory=dict)

    def step_at(self, seconds: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The steps shown at some times, by the same rule as `Clip` finds the frames.

        Args:
            seconds: Times from the video's first frame, any shape.

        Returns:
            Steps of the same shape; -1 where no game is shown.
        """
        moments = np.asarray(seconds, np.float64) + EPSILON
        frames = np.floor(moments * self.frames_per_second).astype(np.int64)
        inside = (frames >= 0) & (frames < len(self.steps))
        return np.where(inside, self.steps[np.clip(frames, 0, len(self.steps) - 1)], NO_STEP)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, atomically.

        Args:
            path: The file.
        """
        document = {
            "format": FORMAT,
            "version": VERSION,
            "frames_per_second": self.frames_per_second,
            "made": dict(self.made),
            "steps": self.steps.tolist(),
        }
        atomic_write(path, lambda file: file.write_text(json.dumps(document), encoding="utf-8"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Truth:
        """Read what `save` wrote.

        Args:
            path: The file.

        Raises:
            VideoFileError: The file is missing, damaged or something else.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise VideoFileError(f"{os.fspath(path)} cannot be read ({brief(error)}).") from error
        match document:
            case {
                "format": "hxwrappers-truth",
                "version": 1,
                "frames_per_second": int() | float() as rate,
                "made": dict(made),
                "steps": [int(), *_] as steps,
            } if all(_is_step(step) for step in steps) and 0 < rate <= _LARGEST:
                return cls(float(rate), np.array(steps, np.int64), made)
        raise VideoFileError(
            f"{os.fspath(path)} does not say which step a video shows when (expected {FORMAT!r}, "
            f"version {VERSION})."
        )


def _is_step(value: object) -> bool:
    return type(value) is int and NO_STEP <= value <= _LARGEST
