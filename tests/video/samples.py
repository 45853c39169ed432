"""Video files whose every frame and sound is known."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from hxwrappers.video.synthesis import Part, write_video

RATE = 30_720
PER_FRAME = 512


def grey(level: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def ramp(path: Path, frames: int = 120, *, fps: float = 60.0, step: int = 2, **options) -> Path:
    """Frame t is grey of level `step * t`, without sound unless asked for."""
    write_video(
        path,
        [Part(grey(min(255, step * level))) for level in range(frames)],
        frames_per_second=fps,
        size=(48, 64),
        **options,
    )
    return path


def clicks(path: Path, at: tuple[int, ...], frames: int = 180, **options) -> Path:
    """At 60 frames a second: the frames `at` are white and click, all others black and silent."""

    def parts():
        for frame in range(frames):
            sound = np.zeros(PER_FRAME, np.float32)
            if frame in at:
                sound[:64] = np.tile([0.9, -0.9], 32)
            yield Part(grey(255 if frame in at else 0), sound)

    write_video(path, parts(), frames_per_second=60.0, size=(48, 64), source_rate=RATE, **options)
    return path


def onsets(sound: np.ndarray, rate: int) -> list[float]:
    """Seconds at which clicks begin."""
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    return [index / rate for index in loud[np.diff(loud, prepend=-rate) > rate // 20]]


def sound_alone(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def tone(path: Path, channels: dict[str, float], layout: str, rate: int = 48_000) -> Path:
    """Half a second of grey with a tone, as loud as asked for in each channel of a layout."""
    wave = np.sin(np.arange(rate // 2) * (2 * np.pi * 440 / rate)).astype(np.float32)
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    planes = np.stack([channels.get(name, 0.0) * wave for name in names])
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("ffv1", rate=10)
        pictures.height, pictures.width, pictures.pix_fmt = 48, 64, "bgr0"
        sound = container.add_stream("pcm_f32le", rate=rate)
        sound.layout = layout
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(grey(9), format="rgb24")
            container.mux(pictures.encode(picture))
        frame = av.AudioFrame.from_ndarray(planes.T.reshape(1, -1).copy(), "flt", layout)
        frame.sample_rate = rate
        container.mux([*pictures.encode(), *sound.encode(frame), *sound.encode()])
    return path


def variable_rate(path: Path, times: list[float], levels: list[int], late: float = 0.0) -> Path:
    """Frames of given levels at given times, in a file whose clock begins at `late`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=1000)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24"
        stream.options = {"qp": "0", "bf": "0"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for time, level in zip(times, levels, strict=True):
            frame = av.VideoFrame.from_ndarray(grey(level), format="rgb24")
            frame.pts, frame.time_base = round((time + late) * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, quarters: int, mirrored: bool = False) -> Path:
    """Mark an mp4 as filmed with the camera turned, as telephones do, in its track header.

    A mirrored one is shown with its rows reversed, before it is turned.
    """
    data = bytearray(path.read_bytes())
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters % 4]
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes of other facts
    unit = 1 << 16
    down = -unit if mirrored else unit
    matrix = (cos * unit, sin * unit, 0, -sin * down, cos * down, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path
