"""Decoded clips as arrays: frames, and the sound that belongs to them."""

from __future__ import annotations

import json
import math
import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from hxwrappers._utils.checks import brief
from hxwrappers.errors import VideoError
from hxwrappers.files.atomic import new_folder


class ArrayFile:
    """Writes a `.npy` file piece by piece, without knowing how long it will be.

    Args:
        path: The file.
        dtype: Dtype of the array.
        shape: Shape of one item; the array is `(items, *shape)`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers.npy"
        >>> with ArrayFile(path, np.int16, ()) as file:
        ...     file.append(np.arange(3))
        ...     file.append(np.arange(2))
        >>> np.load(path).tolist()
        [0, 1, 2, 0, 1]
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype)
        self._shape = shape
        self._file = path.open("wb")
        self.items = 0
        self._start = self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._file.seek(0)
                # NumPy leaves room in a header for a first axis of any length.
                assert self._write_header() == self._start
        finally:
            self._file.close()

    def append(self, items: npt.NDArray[Any]) -> None:
        """Write some more items, `(number, *shape)`."""
        assert items.shape[1:] == self._shape
        self._file.write(np.ascontiguousarray(items, self._dtype).tobytes())
        self.items += len(items)

    def _write_header(self) -> int:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.items, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
        return self._file.tell()


FORMAT = "hxwrappers-clip"
VERSION = 1
_FILES = ("clip.json", "frames.npy", "sound.npy")
_PIECE = 64
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
        with new_clip_folder(folder) as temporary:
            for name, array in (("frames", self.frames), ("sound", self.sound)):
                with ArrayFile(temporary / f"{name}.npy", array.dtype, array.shape[1:]) as file:
                    piece = _PIECE if name == "frames" else 1 << 20
                    for start in range(0, len(array), piece):
                        file.append(array[start : start + piece])
            write_facts(temporary, self.name, self.frames_per_second, self.sample_rate)

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


def new_clip_folder(folder: str | os.PathLike[str]) -> AbstractContextManager[Path]:
    """A folder to be filled with a clip, in the place of nothing else than a clip."""
    return new_folder(folder, _FILES)


def write_facts(folder: Path, name: str, frames_per_second: float, sample_rate: int) -> None:
    """Write the part of a clip's folder that is not arrays."""
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "frames_per_second": frames_per_second,
        "sample_rate": sample_rate,
    }
    (folder / "clip.json").write_text(json.dumps(facts), encoding="utf-8")


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
        with suppress(Exception):  # an array without items cannot be mapped
            empty = np.load(path, allow_pickle=False)
            if not empty.size:
                return np.asarray(empty)
        raise VideoError(
            f"{path} is no array that can be read: it is missing, damaged or truncated "
            f"({brief(error)}). Decode the video again."
        ) from error
