"""Sound of a video: mono at a steady rate, and its spectrograms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedRandom
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers._utils.checks import require_choice, require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.video_file import pyav
from hxwrappers.video.decoded import DecodedClip, growing_array
from hxwrappers.video.reading import audio_stream, decode_packets, in_seconds, open_media

_JITTER_SECONDS = 0.05
_SAMPLE_BYTES = 4
_PIECE = 1 << 20


def write_sound(
    target: Path, video: str | os.PathLike[str], origin: float, samples: int, rate: int
) -> None:
    """Write a video's sound to a `.npy` file: resampled, the mean of its channels, and around zero.

    Args:
        target: The file to write.
        video: The video; if it has no sound, the array is empty.
        origin: Second of the video's own clock at which sample 0 is heard.
        samples: How many samples to write; silence where the video has none.
        rate: Samples per second.

    Raises:
        VideoError: The video is damaged.
    """
    with open_media(video) as container, growing_array(target, np.float32, ()) as file:
        stream = audio_stream(container)
        if stream is not None:
            write_pieces(file, _placed(container, stream, origin, rate), samples)


def write_pieces(
    file: BufferedRandom, pieces: Iterable[tuple[int, npt.NDArray[np.float32]]], samples: int
) -> None:
    """Write pieces of sound at their places, and take the mean of the whole off.

    Args:
        file: The file, where the first sample goes.
        pieces: At which sample each begins, and its samples; of two that overlap, the first is
            heard.
        samples: Length of the whole; silence where there is no piece.
    """
    start, position, total = file.tell(), 0, 0.0
    file.truncate(start + samples * _SAMPLE_BYTES)
    for at, piece in pieces:
        part = piece[max(position - at, 0) : max(samples - at, 0)]
        file.seek(start + max(position, at) * _SAMPLE_BYTES)
        file.write(part.tobytes())
        total += float(part.sum(dtype=np.float64))
        position = max(position, min(at + len(piece), samples))
        if position == samples:
            break
    # The mean is known only now. A memory map would hold an hour of sound in memory.
    mean = np.float32(total / samples)
    file.seek(start)
    while data := file.read(_PIECE):
        file.seek(-len(data), os.SEEK_CUR)
        file.write(np.clip(np.frombuffer(data, np.float32) - mean, -1.0, 1.0).tobytes())


def _placed(
    container: Any, stream: Any, origin: float, rate: int
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Resampled pieces and the samples at which they belong."""
    converter: Any = None
    kind, at, expected = None, 0, 0.0

    def resampled(frame: Any) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        nonlocal at
        for part in converter.resample(frame):
            # FFmpeg's own way from floats to mono adds channels up and may give more than 1.
            piece = np.nan_to_num(part.to_ndarray().mean(axis=0, dtype=np.float32))
            yield at, piece
            at += len(piece)

    for _, frames in decode_packets(container, stream):
        for frame in frames:
            if not frame.samples or not frame.sample_rate:
                continue
            time = in_seconds(frame.pts, frame.time_base, stream.time_base)
            stamp = expected if time is None else time - origin
            found = (frame.format.name, frame.layout.name, frame.sample_rate)
            if found != kind or abs(stamp - expected) > _JITTER_SECONDS:
                if converter is not None:
                    yield from resampled(None)
                converter = pyav().AudioResampler(format="fltp", rate=rate)
                kind, at, expected = found, round(stamp * rate), stamp
            expected += frame.samples / frame.sample_rate
            frame.pts = None  # the pieces are placed here, not by the resampler
            yield from resampled(frame)
    if converter is not None:
        yield from resampled(None)


@dataclass(frozen=True)
class SoundSettings:
    """How sound becomes spectrograms.

    Aytar et al. 2018 give 137 columns of 256 frequencies and a snippet of "6 ms", which cannot be
    137 columns long; here 6 ms is the distance of two columns, which makes snippets of 0.85 s.

    Args:
        hop_seconds: Time between two columns.
        window_seconds: Length of the Hann window; None is as long as the Fourier transform,
            `2 * (bins - 1)` samples.
        position: Where a snippet lies: `"centre"`, its middle at the frame's time, or `"end"`,
            its last sample there.
        scale: `"log"`, `log(1 + magnitude)`, or `"magnitude"`.

    Raises:
        InvalidArgumentError: A setting out of range.
    """

    hop_seconds: float = 0.006
    window_seconds: float | None = None
    position: str = "centre"
    scale: str = "log"

    def __post_init__(self) -> None:
        require_range("hop_seconds", self.hop_seconds, above=0.0)
        if self.window_seconds is not None:
            require_range("window_seconds", self.window_seconds, above=0.0)
        require_choice("position", self.position, ("centre", "end"))
        require_choice("scale", self.scale, ("log", "magnitude"))


class SoundFrontEnd:
    """Cuts snippets at given times out of a sound and makes spectrograms of them.

    Args:
        settings: How.
        sample_rate: Samples per second of the sounds.
        bins: Frequencies, from 0 to half the sample rate; the Fourier transform has
            `2 * (bins - 1)` samples.
        columns: Points in time of a spectrogram.

    Attributes:
        samples: Length of a snippet in samples.

    Raises:
        InvalidArgumentError: The window is longer than the Fourier transform, or the hop shorter
            than a sample.

    Example:
        >>> front_end = SoundFrontEnd(SoundSettings(), 30_720, 256, 137)
        >>> sound = np.zeros(61_440, np.float32)
        >>> front_end.spectrograms(front_end.snippets(sound, np.array([0.5, 1.0]))).shape
        torch.Size([2, 256, 137])
    """

    def __init__(self, settings: SoundSettings, sample_rate: int, bins: int, columns: int) -> None:
        self.sample_rate = sample_rate
        transform = 2 * (bins - 1)
        hop = round(settings.hop_seconds * sample_rate)
        window = transform
        if settings.window_seconds is not None:
            window = round(settings.window_seconds * sample_rate)
        if hop < 1 or not 1 <= window <= transform:
            raise InvalidArgumentError(
                f"At {sample_rate} samples per second the columns are {hop} samples apart and the "
                f"window has {window}; the columns must be at least 1 apart, and the window must "
                f"have 1 to {transform} samples, those of the Fourier transform."
            )
        self.samples = transform + (columns - 1) * hop
        self._before = self.samples // 2 if settings.position == "centre" else self.samples
        self._log = settings.scale == "log"
        self._transform, self._hop = transform, hop
        self._window = torch.hann_window(window)
        self._offsets = np.arange(self.samples)

    def snippets(
        self, sound: npt.NDArray[np.float32], times: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        """Cut snippets out of a sound; beyond its ends is silence.

        Args:
            sound: Mono samples, `float32`.
            times: Seconds from the beginning of the sound.

        Returns:
            `(number, samples)`, `float32`.
        """
        starts = np.round(times * self.sample_rate).astype(np.int64) - self._before
        out = np.zeros((len(starts), self.samples), np.float32)
        for row, start in zip(out, starts.tolist(), strict=True):
            first, last = max(start, 0), min(start + self.samples, len(sound))
            if first < last:
                row[first - start : last - start] = sound[first:last]
        return out

    def spectrograms(self, snippets: npt.NDArray[np.float32]) -> Tensor:
        """Spectrograms of snippets.

        Args:
            snippets: `(number, samples)`, `float32`.

        Returns:
            `(number, bins, columns)`, `float32`, 0 or more.
        """
        magnitudes = torch.stft(
            torch.from_numpy(snippets),
            self._transform,
            self._hop,
            len(self._window),
            self._window,
            center=False,
            return_complex=True,
        ).abs()
        return magnitudes.log1p() if self._log else magnitudes


def frame_levels(clip: DecodedClip) -> npt.NDArray[np.float64]:
    """How loud the sound is while each frame is shown.

    Args:
        clip: The clip.

    Returns:
        Standard deviation of the samples under each frame, `(frames,)`; a constant level, which
        the Atari 2600 often holds, is silence.
    """
    levels = np.zeros(len(clip))
    edges = np.arange(len(clip) + 1) / clip.frames_per_second * clip.sample_rate
    edges = np.minimum(np.round(edges), len(clip.sound)).astype(np.int64)
    for frame, (start, stop) in enumerate(pairwise(edges.tolist())):
        if stop > start:
            levels[frame] = np.std(clip.sound[start:stop], dtype=np.float64)
    return levels
