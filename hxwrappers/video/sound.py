"""Sound of a video: mono at a steady rate, and its spectrograms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers._utils.checks import require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.video_file import pyav
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.reading import audio_stream, decode_packets, in_seconds, open_media

_JITTER_SECONDS = 0.05
_SILENCE = 1 << 16


class SoundTrack:
    """Puts pieces of sound at their times: silence into gaps, overlaps dropped, both ends cut.

    Args:
        samples: Length of the whole.

    Example:
        >>> track = SoundTrack(6)
        >>> ones = np.ones(2, np.float32)
        >>> [piece.tolist() for piece in (*track.put(-1, ones), *track.put(2, 3 * ones))]
        [[1.0], [0.0], [3.0, 3.0]]
        >>> [piece.tolist() for piece in track.rest()]
        [[0.0, 0.0]]
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.position = 0

    def put(self, at: int, piece: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        """Put a piece at a sample, and give what comes next on the track."""
        yield from self._silence(min(at, self.samples))
        begin = self.position - at
        part = piece[begin : self.samples - at] if begin < len(piece) else piece[:0]
        if len(part):
            self.position += len(part)
            yield part

    def rest(self) -> Iterator[npt.NDArray[np.float32]]:
        """Silence up to the end."""
        yield from self._silence(self.samples)

    @property
    def full(self) -> bool:
        """Whether the end is reached."""
        return self.position >= self.samples

    def _silence(self, until: int) -> Iterator[npt.NDArray[np.float32]]:
        while self.position < until:
            length = min(until - self.position, _SILENCE)
            self.position += length
            yield np.zeros(length, np.float32)


def sound_chunks(
    path: str | os.PathLike[str], origin: float, samples: int, rate: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Decode a file's sound, resampled, as the mean of its channels.

    Args:
        path: The file.
        origin: Second of the file's own clock at which sample 0 is heard.
        samples: How many samples to give; silence where the file has none.
        rate: Samples per second.

    Yields:
        Pieces of sound, `float32`, one after the other.

    Raises:
        VideoError: The file is damaged.
    """
    track = SoundTrack(samples)
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            return
        for at, piece in _placed(container, stream, origin, rate):
            yield from track.put(at, piece)
            if track.full:
                return
    yield from track.rest()


def _placed(
    container: Any, stream: Any, origin: float, rate: int
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Resampled pieces and the samples at which they belong."""
    converter: Any = None
    kind, at, expected = None, 0, 0.0
    for _, frames in decode_packets(container, stream):
        for frame in frames:
            if not frame.samples or not frame.sample_rate:
                continue
            time = in_seconds(frame.pts, frame.time_base, stream.time_base)
            stamp = expected if time is None else time - origin
            same = kind == (frame.format.name, frame.layout.name, frame.sample_rate)
            if converter is None or not same or abs(stamp - expected) > _JITTER_SECONDS:
                for piece in _resampled(converter, None):
                    yield at, piece
                    at += len(piece)
                converter = pyav().AudioResampler(format="fltp", rate=rate)
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                at, expected = round(stamp * rate), stamp
            expected += frame.samples / frame.sample_rate
            frame.pts = None  # the pieces are placed here, not by the resampler
            for piece in _resampled(converter, frame):
                yield at, piece
                at += len(piece)
    for piece in _resampled(converter, None):
        yield at, piece
        at += len(piece)


def _resampled(converter: Any, frame: Any) -> list[npt.NDArray[np.float32]]:
    """Resampled pieces, of which each sample is the mean of the channels.

    FFmpeg's own way from floats to mono adds channels up and may give more than 1.
    """
    if converter is None:
        return []
    return [
        np.nan_to_num(part.to_ndarray().mean(axis=0, dtype=np.float32))
        for part in converter.resample(frame)
    ]


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
        for name, choices in (
            ("position", ("centre", "end")),
            ("scale", ("log", "magnitude")),
        ):
            if getattr(self, name) not in choices:
                raise InvalidArgumentError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}."
                )


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
        require_range("sample_rate", sample_rate, minimum=1)
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
