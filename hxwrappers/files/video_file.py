"""Writing video files, frame by frame and with sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import require_range
from hxwrappers._utils.modules import import_optional
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.atomic import atomic_write

_CODECS = {
    ".mp4": ("mp4", "libx264", "aac"),
    ".mkv": ("matroska", "libx264", "aac"),
    ".webm": ("webm", "libvpx-vp9", "libopus"),
}


class Part(NamedTuple):
    """What comes next in a video.

    Attributes:
        frame: A frame, `(height, width, 3)`, RGB, `uint8`, or None.
        sound: Samples in [-1, 1], `float32`, `(samples,)`, or None.
    """

    frame: npt.NDArray[np.uint8] | None = None
    sound: npt.NDArray[np.float32] | None = None


def write_video(
    path: str | os.PathLike[str],
    parts: Iterable[Part],
    *,
    frames_per_second: float,
    size: tuple[int, int] | None = None,
    source_rate: int | None = None,
    sound_rate: int = 48_000,
    crf: int = 18,
    lossless: bool = False,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write a video file, whole or not at all.

    The sound begins with the first frame; keep the two in step by handing out parts in the order
    in which they are shown and heard.

    Args:
        path: The file: `.mp4` (H.264, AAC), `.mkv` (the same) or `.webm` (VP9, Opus).
        parts: Frames and sound.
        frames_per_second: Rate of the frames.
        size: Height and width of the frames, even numbers; those of the first frame unless given,
            and then an odd last row or column is left out, which most formats cannot hold.
        source_rate: Samples a second of the sound in the parts; None writes no sound.
        sound_rate: Samples a second of the sound in the file.
        crf: Quality of the pictures: 0 is the best, 51 the worst.
        lossless: Keep pictures and sound bit for bit (`.mkv` alone, which then has RGB H.264 and
            PCM at the source's rate).
        progress: Called with the number of frames written, for each.

    Returns:
        The number of frames.

    Raises:
        InvalidArgumentError: The ending, size, rate or quality cannot be written, or there are no
            frames.
        gymnasium.error.DependencyNotInstalled: PyAV is not installed.
        OSError: The folder cannot be written to or the disk is full.

    Example:
        >>> import tempfile
        >>> grey = [Part(np.full((48, 64, 3), level, np.uint8)) for level in range(50)]
        >>> path = tempfile.mkdtemp() + "/grey.mkv"
        >>> write_video(path, grey, frames_per_second=25.0, size=(48, 64))
        50
    """
    check_video_name(path)
    require_range("frames_per_second", frames_per_second, minimum=0.001, maximum=1000)
    ending = Path(path).suffix.lower()
    if not lossless and source_rate is not None:
        sound_rate = _rate_of(ending, sound_rate)
    if size is None:
        size, parts = _cropped(parts)
    fits = ending == ".mkv" or not lossless
    even = all(side > 0 and side % 2 == 0 for side in size)
    if not (fits and even and 0 <= crf <= 51):
        raise InvalidArgumentError(
            f"Cannot write {os.fspath(path)} with frames of {size}, "
            f"crf {crf}, lossless {lossless}. Use even sides and a "
            "crf from 0 to 51; a lossless one ends in .mkv."
        )
    count = 0

    def write(temporary: Path) -> None:
        nonlocal count
        file = _File(temporary, ending, frames_per_second, size, crf, lossless)
        with file.container:
            if source_rate is not None:
                file.add_sound(source_rate, source_rate if lossless else sound_rate)
            for part in parts:
                if part.sound is not None:
                    file.write_sound(part.sound)
                if part.frame is not None:
                    file.write_frame(part.frame)
                    count += 1
                    if progress is not None:
                        progress(count)
            file.flush()
        if not count:
            raise InvalidArgumentError("There are no frames to write.")

    atomic_write(path, write)
    return count


def _rate_of(ending: str, rate: int) -> int:
    """The rate at which sound is written: a .webm knows few, and is at 48 kHz for the others."""
    known: list[int] = sorted(pyav().Codec(_CODECS[ending][2], "w").audio_rates)
    if rate in known:
        return rate
    if ending == ".webm":
        return 48_000
    raise InvalidArgumentError(
        f"A {ending} cannot hold sound of {rate} samples a second; it can hold "
        f"{', '.join(map(str, known))}."
    )


def check_video_name(path: str | os.PathLike[str]) -> None:
    """Refuse the name of what would be a video and does not say so.

    Raises:
        InvalidArgumentError: It has another ending than videos have here.
    """
    if Path(path).suffix.lower() not in _CODECS:
        raise InvalidArgumentError(
            f"{os.fspath(path)} is no name of a video. Give a name that ends in .mp4, or in .mkv "
            "or .webm."
        )


def pyav() -> Any:
    """The package PyAV.

    Raises:
        gymnasium.error.DependencyNotInstalled: It is not installed.
    """
    return import_optional("av", "Videos need PyAV, which is not installed", "video")


def _cropped(parts: Iterable[Part]) -> tuple[tuple[int, int], Iterator[Part]]:
    """The size of the first frame, made even, and all parts with frames of that size."""
    rest = iter(parts)
    before: list[Part] = []  # which may be heard before the first frame is shown
    while not before or before[-1].frame is None:
        part = next(rest, None)
        if part is None:
            raise InvalidArgumentError("There are no frames to write.")
        before.append(part)
    height, width = (side // 2 * 2 for side in before[-1].frame.shape[:2])

    def cropped() -> Iterator[Part]:
        for part in chain(before, rest):
            yield part if part.frame is None else Part(part.frame[:height, :width], part.sound)

    return (height, width), cropped()


class _File:
    """An open file with its streams."""

    def __init__(
        self,
        path: Path,
        ending: str,
        frames_per_second: float,
        size: tuple[int, int],
        crf: int,
        lossless: bool,
    ) -> None:
        self._av = pyav()
        container, video, self._sound_codec = _CODECS[ending]
        self._lossless = lossless
        self.container = self._av.open(str(path), "w", format=container)
        rate = Fraction(frames_per_second).limit_denominator(1001)
        self._video = self.container.add_stream("libx264rgb" if lossless else video, rate=rate)
        self._video.height, self._video.width = size
        self._video.pix_fmt = "rgb24" if lossless else "yuv420p"
        self._video.options = {"qp": "0"} if lossless else {"crf": str(crf)}
        if ending == ".webm":
            self._video.options |= {"b": "0", "deadline": "realtime", "cpu-used": "8"}
        else:
            self._video.options |= {"preset": "veryfast"}
        self._sound: Any = None
        self._source_rate = 0
        self._heard = 0

    def add_sound(self, source_rate: int, rate: int) -> None:
        codec = "pcm_s16le" if self._lossless else self._sound_codec
        self._sound = self.container.add_stream(codec, rate=rate)
        self._sound.layout = "mono"
        self._source_rate = source_rate
        self._converter = self._av.AudioResampler(
            format=self._sound.codec_context.format, layout="mono", rate=rate
        )

    def write_frame(self, picture: npt.NDArray[np.uint8]) -> None:
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self.container.mux(self._video.encode(frame))

    def write_sound(self, samples: npt.NDArray[np.float32]) -> None:
        if self._sound is None or not len(samples):
            return
        frame = self._av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = self._source_rate
        frame.time_base = Fraction(1, self._source_rate)
        frame.pts = self._heard
        self._heard += len(samples)
        for part in self._converter.resample(frame):
            self.container.mux(self._sound.encode(part))

    def flush(self) -> None:
        self.container.mux(self._video.encode())
        if self._sound is not None:
            for part in self._converter.resample(None):
                self.container.mux(self._sound.encode(part))
            self.container.mux(self._sound.encode())
