"""Media files: opening, facts, and frames with the times at which they are shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hxwrappers.errors import VideoError
from hxwrappers.files.video_file import pyav
from hxwrappers.video.frames import EPSILON, Timed, quarter_turns

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
        `VideoError`.

    Raises:
        VideoError: The file is missing or no media file.
        gymnasium.error.DependencyNotInstalled: PyAV is not installed.
    """
    av = pyav()
    file = Path(path)
    if not file.is_file():
        raise VideoError(f"There is no video file at {file}.")
    if not file.stat().st_size:
        raise VideoError(f"{file} is empty: its size is 0 bytes. Download or make it again.")
    try:
        container = av.open(f"file:{file}", options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise VideoError(
            f"{file} is not a video that can be read, or is cut off before its table of contents "
            f"({_reason(error)}). Give an mp4, mkv, webm or similar file, and download it again "
            "if it was one."
        ) from error
    with container:
        names = set(container.format.name.split(","))
        if names & _REFUSED_FORMATS or container.format.name.endswith("_pipe"):
            raise VideoError(
                f"{file} is no video but {container.format.long_name or container.format.name!r}. "
                "Give an mp4, mkv, webm or similar file."
            )
        try:
            yield container
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{file} is damaged and cannot be decoded ({_reason(error)}). Download or make it "
                "again."
            ) from error


def video_stream(container: Any, path: str | os.PathLike[str]) -> Any:
    """The moving pictures of a file, passing over cover pictures.

    Raises:
        VideoError: There are none, or none that can be decoded.
    """
    for stream in container.streams.video:
        cover = "attached_pic" in str(stream.disposition).lower()
        if stream.codec_context is not None and not cover:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise VideoError(
        f"{os.fspath(path)} has no video stream that can be decoded, only {kinds}. If the "
        "download kept the sound alone, ask for the pictures as well."
    )


def audio_stream(container: Any) -> Any | None:
    """The first sound of a file that can be decoded, or None."""
    decodable = (stream for stream in container.streams.audio if stream.codec_context is not None)
    return next(decodable, None)


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
        VideoError: More than one in twenty packets cannot be decoded.
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
        raise VideoError(
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


_SEEK_FROM_SECONDS = 5.0
_MISSING_SECONDS = 1.0
_MISSING_SHARE = 0.02


@dataclass(frozen=True)
class VideoFacts:
    """What a video file says about itself.

    Attributes:
        container: Name of the file format.
        codec: Name of the pictures' codec.
        width: Columns of the upright picture.
        height: Rows of the upright picture.
        turned: Quarter turns counterclockwise that make it upright.
        frames_per_second: Mean rate of the frames, or None where it is not declared.
        seconds: Declared length from the beginning of pictures and sound on, or None.
        sound_rate: Samples of sound a second, or None where there is no sound.
        origin: When the first frame is shown, in seconds of the file's own clock.
    """

    container: str
    codec: str
    width: int
    height: int
    turned: int
    frames_per_second: float | None
    seconds: float | None
    sound_rate: int | None
    origin: float


def probe(path: str | os.PathLike[str]) -> VideoFacts:
    """Read what a video file says about itself, and its first frame.

    Args:
        path: The file.

    Raises:
        VideoError: The file is missing, no video, or damaged.
        VideoError: It has no moving pictures.
        VideoError: It has not a single frame that can be decoded.
    """
    with open_media(path) as container:
        stream = video_stream(container, path)
        sound = audio_stream(container)
        decoded = (frame for _, frames in decode_packets(container, stream) for frame in frames)
        first = next(decoded, None)
        if first is None:
            raise VideoError(
                f"{os.fspath(path)} has no frame that can be decoded: it is cut off right after "
                "its beginning, or empty. Download or make it again."
            )
        turned = quarter_turns(first)
        sides = (first.width, first.height)
        width, height = sides[::-1] if turned % 2 else sides
        rate = stream.average_rate
        return VideoFacts(
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            turned=turned,
            frames_per_second=float(rate) if rate else None,
            seconds=_declared(container),
            sound_rate=None if sound is None else sound.codec_context.sample_rate or None,
            origin=_time_of(first, stream, 0.0),
        )


def timed_frames(
    path: str | os.PathLike[str],
    facts: VideoFacts,
    start: float,
    longest: float,
    accept_truncated: bool,
) -> Iterator[Timed]:
    """Decode a video's frames, from the last one shown at `start` or earlier.

    Args:
        path: The file.
        facts: What `probe` said about it.
        start: Seconds from the first frame.
        longest: Seconds of video beyond which nothing is read.
        accept_truncated: Whether a file may end before the end that it declares.

    Yields:
        Frames with their times from the first frame; each decoded frame is handed out at once.

    Raises:
        VideoError: The file ends well before the end that it declares.
        VideoError: It is damaged, or longer than `longest`.
    """
    # A file whose index is wrong is read from the beginning, after an attempt to go to the middle.
    for seek in (True, False) if start > _SEEK_FROM_SECONDS else (False,):
        found = False
        with open_media(path) as container:
            stream = video_stream(container, path)
            if seek:
                stamp = int((facts.origin + start) / (stream.time_base or 1))
                container.seek(stamp, stream=stream, backward=True)
            for timed in _timed(path, container, stream, facts, accept_truncated):
                if seek and not found and timed.start > start + EPSILON:
                    break
                found = True
                if timed.start > longest:
                    raise VideoError(
                        f"{os.fspath(path)} is longer than {longest:.0f} s, or its times are "
                        "damaged. Give the end of the part that you want, or a larger limit."
                    )
                yield timed
        if found:
            return


def _timed(
    path: str | os.PathLike[str],
    container: Any,
    stream: Any,
    facts: VideoFacts,
    accept_truncated: bool,
) -> Iterator[Timed]:
    stream.thread_type = "AUTO"
    usual = 1 / facts.frames_per_second if facts.frames_per_second else 1 / 30
    sound = audio_stream(container)
    begin = (container.start_time or 0) / 1e6
    time, end_read = -usual, 0.0
    for packet, frames in decode_packets(container, stream, () if sound is None else (sound,)):
        if packet is not None and packet.pts is not None:
            after = in_seconds(packet.pts + (packet.duration or 0), packet.time_base)
            end_read = max(end_read, (after or 0.0) - begin)
        for frame in frames:
            time = _time_of(frame, stream, time + facts.origin + usual) - facts.origin
            length = in_seconds(frame.duration, frame.time_base, stream.time_base)
            yield Timed(time, time + (length or usual), frame)
    declared = facts.seconds
    if declared is None or accept_truncated:
        return
    missing = declared - end_read
    if missing > max(_MISSING_SECONDS, _MISSING_SHARE * declared):
        raise VideoError(
            f"{os.fspath(path)} declares {declared:.1f} s but ends after {end_read:.1f} s: it is "
            "truncated. Download it again, or accept it as it is (accept_truncated=True, on the "
            "command line --accept-truncated)."
        )


def _declared(container: Any) -> float | None:
    duration = container.duration or 0
    if "matroska" in container.format.name:  # it declares the end, counted from 0
        duration -= container.start_time or 0
    return duration / 1e6 if duration > 0 else None


def _time_of(frame: Any, stream: Any, otherwise: float) -> float:
    time = in_seconds(frame.pts, frame.time_base, stream.time_base)
    return otherwise if time is None else time
