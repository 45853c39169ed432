"""Reading the frames of a video file with the times at which they are shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hxwrappers.errors import EmptyClipError, TruncatedVideoError, VideoFileError
from hxwrappers.video.media import (
    audio_stream,
    decode_packets,
    in_seconds,
    open_media,
    video_stream,
)
from hxwrappers.video.pictures import quarter_turns
from hxwrappers.video.timeline import EPSILON, Timed

__all__ = ["VideoFacts", "probe", "timed_frames"]

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
        VideoFileError: The file is missing, no video, or damaged.
        NoVideoStreamError: It has no moving pictures.
        EmptyClipError: It has not a single frame that can be decoded.
    """
    with open_media(path) as container:
        stream = video_stream(container, path)
        sound = audio_stream(container)
        first = next(_frames(container, stream), None)
        if first is None:
            raise EmptyClipError(
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
        TruncatedVideoError: The file ends well before the end that it declares.
        VideoFileError: It is damaged, or longer than `longest`.
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
                    raise VideoFileError(
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
        raise TruncatedVideoError(
            f"{os.fspath(path)} declares {declared:.1f} s but ends after {end_read:.1f} s: it is "
            "truncated. Download it again, or accept it as it is (accept_truncated=True, on the "
            "command line --accept-truncated)."
        )


def _declared(container: Any) -> float | None:
    duration = container.duration or 0
    if "matroska" in container.format.name:  # it declares the end, counted from 0
        duration -= container.start_time or 0
    return duration / 1e6 if duration > 0 else None


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    for _, frames in decode_packets(container, stream):
        yield from frames


def _time_of(frame: Any, stream: Any, otherwise: float) -> float:
    time = in_seconds(frame.pts, frame.time_base, stream.time_base)
    return otherwise if time is None else time
