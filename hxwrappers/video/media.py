"""Opening media files, with what can go wrong said in the library's own errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hxwrappers._video_file import pyav
from hxwrappers.errors import NoVideoStreamError, VideoFileError

__all__ = [
    "audio_stream",
    "decode_packets",
    "in_seconds",
    "open_media",
    "video_stream",
]

# What opens other files or addresses, or makes moving pictures out of any text.
_REFUSED_FORMATS = {"concat", "dash", "hls", "image2", "imf", "lavfi", "sdp", "tty"}
_DAMAGE = 0.05


@contextmanager
def open_media(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a media file for reading.

    Only this file is read: formats and protocols that lead to other files or addresses are
    refused.

    Args:
        path: The file.

    Yields:
        The container of PyAV. Errors of PyAV that are raised while it is open become
        `VideoFileError`.

    Raises:
        VideoFileError: The file is missing or no media file.
        gymnasium.error.DependencyNotInstalled: PyAV is not installed.
    """
    av = pyav()
    file = Path(path)
    if not file.is_file():
        raise VideoFileError(f"There is no video file at {file}.")
    if not file.stat().st_size:
        raise VideoFileError(f"{file} is empty: its size is 0 bytes. Download or make it again.")
    try:
        container = av.open(f"file:{file}", options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise VideoFileError(
            f"{file} is not a video that can be read, or is cut off before its table of contents "
            f"({_reason(error)}). Give an mp4, mkv, webm or similar file, and download it again "
            "if it was one."
        ) from error
    with container:
        names = set(container.format.name.split(","))
        if names & _REFUSED_FORMATS or container.format.name.endswith("_pipe"):
            raise VideoFileError(
                f"{file} is no video but {container.format.long_name or container.format.name!r}. "
                "Give an mp4, mkv, webm or similar file."
            )
        try:
            yield container
        except av.error.FFmpegError as error:
            raise VideoFileError(
                f"{file} is damaged and cannot be decoded ({_reason(error)}). Download or make it "
                "again."
            ) from error


def video_stream(container: Any, path: str | os.PathLike[str]) -> Any:
    """The moving pictures of a file, passing over cover pictures.

    Raises:
        NoVideoStreamError: There are none, or none that can be decoded.
    """
    for stream in container.streams.video:
        cover = "attached_pic" in str(stream.disposition).lower()
        if stream.codec_context is not None and not cover:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise NoVideoStreamError(
        f"{os.fspath(path)} has no video stream that can be decoded, only {kinds}. If the "
        "download kept the sound alone, ask for the pictures as well."
    )


def audio_stream(container: Any) -> Any | None:
    """The first sound of a file that can be decoded, or None."""
    for stream in container.streams.audio:
        if stream.codec_context is not None:
            return stream
    return None


def decode_packets(
    container: Any, stream: Any, others: tuple[Any, ...] = ()
) -> Iterator[tuple[Any | None, list[Any]]]:
    """Decode one stream, passing over the packets that cannot be decoded while they are few.

    Args:
        container: An open file.
        stream: The stream to decode.
        others: Streams whose packets are handed out without decoding them.

    Yields:
        A packet and the frames of `stream` that it completes; in the end None and the last ones.

    Raises:
        VideoFileError: More than one in twenty packets cannot be decoded.
    """
    av = pyav()
    packets, damaged = 0, 0
    demuxed = container.demux(stream, *others)
    while True:
        try:
            packet = next(demuxed)
        except (StopIteration, av.error.FFmpegError):
            # After an error the rest is cut off; whoever reads judges what was there before.
            break
        frames: list[Any] = []
        if packet.stream.index == stream.index:
            packets += 1
            try:
                frames = list(packet.decode())
            except av.error.FFmpegError:
                damaged += 1
        yield packet, frames
    with suppress(av.error.FFmpegError):  # the last packet may have emptied the decoder already
        yield None, list(stream.codec_context.decode(None))
    if damaged > max(1, _DAMAGE * packets):
        raise VideoFileError(
            f"{container.name.removeprefix('file:')} is damaged: {damaged} of {packets} packets of "
            f"its {stream.type} cannot be decoded. Download or make it again."
        )


def in_seconds(ticks: int | None, *bases: Any) -> float | None:
    """A time stamp in seconds, by the first clock that is known; None where nothing is.

    Example:
        >>> from fractions import Fraction
        >>> in_seconds(30, None, Fraction(1, 60)), in_seconds(None, Fraction(1, 60))
        (0.5, None)
    """
    base = next((base for base in bases if base), None)
    return None if ticks is None or base is None else float(ticks * base)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
