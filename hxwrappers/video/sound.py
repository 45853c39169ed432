"""The sound of a video, mono and at a steady rate, in time with the frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._video_file import pyav
from hxwrappers.video.media import (
    audio_stream,
    decode_packets,
    in_seconds,
    open_media,
)

__all__ = ["SoundTrack", "sound_pieces"]

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


def sound_pieces(
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
        VideoFileError: The file is damaged.
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
