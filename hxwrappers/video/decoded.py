"""Decoded clips as arrays: frames, and the sound that belongs to them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import brief
from hxwrappers.errors import VideoError
from hxwrappers.files.atomic import new_folder


@contextmanager
def growing_array(
    path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> Iterator[BufferedRandom]:
    """A `.npy` file for as many items as will be written.

    Args:
        path: The file.
        dtype: Dtype of the array.
        shape: Shape of one item; the array is `(items, *shape)`.

    Yields:
        The file, where the bytes of the first item go.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers.npy"
        >>> with growing_array(path, np.int16, ()) as file:
        ...     for count in (3, 2):
        ...         _ = file.write(np.arange(count, dtype=np.int16).tobytes())
        >>> np.load(path).tolist()
        [0, 1, 2, 0, 1]
    """
    kind = np.dtype(dtype)

    def write_header(items: int) -> int:
        description = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**description, "shape": (items, *shape)})
        return file.tell()

    with path.open("w+b") as file:
        start = write_header(0)
        yield file
        size = file.seek(0, os.SEEK_END) - start
        file.seek(0)
        # NumPy leaves room in a header for a first axis of any length.
        assert write_header(size // (kind.itemsize * math.prod(shape))) == start


FORMAT = "hxwrappers-clip"
VERSION = 1
_FILES = ("clip.json", "frames.npy", "sound.npy")
_MAX_JSON_BYTES = 1 << 20
_MOST_A_SECOND = 1 << 30


@dataclass(frozen=True, eq=False)
class DecodedClip:
    """A clip as arrays: frames at a steady rate, and the sound that belongs to them.

    The arrays may be memory maps of files, so that an hour of video takes no memory.

    Attributes:
        name: What to call it.
        frames: `(frames, height, width, 3)`, RGB, `uint8`.
        frames_per_second: Frame t is shown at `t / frames_per_second` seconds.
        sound: Mono samples in [-1, 1], `float32`, `(samples,)`, with a mean of zero; empty where
            the clip has no sound.
        sample_rate: Sample i is heard at `i / sample_rate` seconds, from the same origin.

    Raises:
        VideoError: The arrays are not of these shapes and dtypes, there is no frame, or a
            rate is not positive.

    Example:
        >>> frames = np.zeros((30, 6, 8, 3), np.uint8)
        >>> clip = DecodedClip("black", frames, 15.0, np.zeros(0, np.float32), 16_000)
        >>> len(clip), clip.seconds
        (30, 2.0)
    """

    name: str
    frames: npt.NDArray[np.uint8]
    frames_per_second: float
    sound: npt.NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise VideoError(
                f"The frames of the clip {self.name!r} are {self.frames.dtype} of shape {shape}; "
                "uint8 of shape (frames, height, width, 3) with at least one frame was expected."
            )
        if self.sound.dtype != np.float32 or self.sound.ndim != 1:
            raise VideoError(
                f"The sound of the clip {self.name!r} is {self.sound.dtype} of shape "
                f"{self.sound.shape}; float32 of shape (samples,) was expected."
            )
        rates = (self.frames_per_second, self.sample_rate)
        if not all(math.isfinite(rate) and rate > 0 for rate in rates):
            raise VideoError(
                f"The clip {self.name!r} has {self.frames_per_second} frames and "
                f"{self.sample_rate} samples a second; both must be positive."
            )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return len(self) / self.frames_per_second

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the clip to a folder of `.npy` files, whole or not at all.

        Args:
            folder: Where it shall be; a clip that is there is replaced.

        Raises:
            FileWriteError: The folder cannot be written to, the disk is full, or something else
                than a clip is there.
        """
        with new_clip_folder(
            folder, self.name, self.frames_per_second, self.sample_rate
        ) as temporary:
            for name, array in (("frames", self.frames), ("sound", self.sound)):
                path = temporary / f"{name}.npy"
                with growing_array(path, array.dtype, array.shape[1:]) as file:
                    file.write(np.ascontiguousarray(array).data)  # np.save hides why it cannot

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> DecodedClip:
        """Read what `save` wrote, as memory maps and without executing anything in it.

        Args:
            folder: The folder.

        Raises:
            VideoError: There is no clip, it is damaged or hostile, or of another version.
        """
        source = Path(folder)
        facts = _read_facts(source)
        match facts:
            case {
                "format": "hxwrappers-clip",
                "version": 1,
                "name": str(name),
                "frames_per_second": int() | float() as frames_per_second,
                "sample_rate": int(sample_rate),
            } if max(frames_per_second, sample_rate) <= _MOST_A_SECOND:
                frames, sound = (
                    _read_array(source / f"{part}.npy") for part in ("frames", "sound")
                )
                return cls(name, frames, float(frames_per_second), sound, sample_rate)
        raise VideoError(
            f"{source / 'clip.json'} does not describe a clip of format {FORMAT!r}, version "
            f"{VERSION}. Decode the video again."
        )


@contextmanager
def new_clip_folder(
    folder: str | os.PathLike[str], name: str, frames_per_second: float, sample_rate: int
) -> Iterator[Path]:
    """A folder to be filled with the arrays of a clip, in the place of nothing else than a clip."""
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "frames_per_second": frames_per_second,
        "sample_rate": sample_rate,
    }
    with new_folder(folder, _FILES) as temporary:
        (temporary / "clip.json").write_text(json.dumps(facts), encoding="utf-8")
        yield temporary


def _read_facts(folder: Path) -> Any:
    path = folder / "clip.json"
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError("it is too large")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise VideoError(
            f"{folder} holds no decoded clip ({type(error).__name__}: {brief(error)}). Give a "
            "folder that DecodedClip.save, Clip.decode or `hxw video decode` wrote."
        ) from error


def _read_array(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # NumPy raises many kinds for a malformed header
        raise VideoError(
            f"{path} is no array that can be read: it is missing, damaged or truncated "
            f"({brief(error)}). Decode the video again."
        ) from error
