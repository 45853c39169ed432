"""Demonstrations as videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._files import atomic_write
from hxwrappers._ranges import require_range
from hxwrappers.demos.demo import Demo
from hxwrappers.errors import InvalidArgumentError

__all__ = ["check_video_name", "demo_frames", "render_demo", "write_video"]


def demo_frames(
    demo: Demo, env: gym.Env[Any, Any], *, start: int = 0, stop: int | None = None, every: int = 1
) -> Iterator[npt.NDArray[np.uint8]]:
    """The pictures of a demonstration as its replay shows them.

    Args:
        demo: The demonstration.
        env: Its environment, made with `render_mode="rgb_array"`.
        start: The step to begin at.
        stop: The step to stop at; the end where None.
        every: Show every so many steps.

    Yields:
        Frames, `(height, width, 3)`, `uint8`.

    Raises:
        InvalidArgumentError: The environment does not render, or `every` is not positive.
    """
    if env.render_mode != "rgb_array" or every < 1:
        raise InvalidArgumentError(
            f"The environment's render_mode is {env.render_mode!r} and every is {every}; make it "
            'with render_mode="rgb_array" and show every step or less.'
        )
    for transition in demo.replay(env, start, stop):
        if transition.step % every == 0:
            yield np.asarray(env.render(), np.uint8)


def write_video(
    frames: Iterable[npt.NDArray[np.uint8]],
    path: str | os.PathLike[str],
    *,
    fps: float = 60.0,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write frames as a video (H.264 in MP4), atomically.

    Args:
        frames: Pictures of one size, `(height, width, 3)`, `uint8`; an odd last row or column is
            left out, which the format cannot hold.
        path: The video to write: `.mp4`.
        fps: Frames per second, 0.001 to 1000.
        progress: Called with the number of frames written, for each.

    Returns:
        The number of frames.

    Raises:
        InvalidArgumentError: There are no frames, `fps` is out of range, or the path has another
            ending.
        gymnasium.error.DependencyNotInstalled: PyAV is not installed.
    """
    require_range("fps", fps, minimum=0.001, maximum=1000)
    check_video_name(path)
    try:
        import av  # noqa: PLC0415 - optional
    except ImportError as error:
        raise gym.error.DependencyNotInstalled(
            'Rendering to a video needs PyAV: pip install "hxwrappers[video]"'
        ) from error
    count = 0

    def write(temporary: Path) -> None:
        nonlocal count
        with av.open(str(temporary), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
            stream.pix_fmt = "yuv420p"
            for count, frame in enumerate(frames, start=1):
                even = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
                if count == 1:
                    stream.height, stream.width = even.shape[:2]
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
                container.mux(stream.encode(picture))
                if progress is not None:
                    progress(count)
            container.mux(stream.encode())
        if not count:
            raise InvalidArgumentError("There are no frames to make a video of.")

    atomic_write(path, write)
    return count


def check_video_name(path: str | os.PathLike[str]) -> None:
    """Refuse the name of what would be a video and does not say so.

    Raises:
        InvalidArgumentError: It does not end in `.mp4`.
    """
    if Path(path).suffix.lower() != ".mp4":
        raise InvalidArgumentError(
            f"{os.fspath(path)} is no name of a video; what is written is an MP4. Give a name that "
            "ends in .mp4."
        )


def render_demo(
    demo: Demo,
    env: gym.Env[Any, Any],
    path: str | os.PathLike[str],
    *,
    start: int = 0,
    stop: int | None = None,
    every: int = 1,
    fps: float = 60.0,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write a demonstration as a video (H.264 in MP4).

    Args:
        demo: The demonstration.
        env: Its environment, made with `render_mode="rgb_array"`.
        path: The video to write: `.mp4`.
        start: The step to begin at.
        stop: The step to stop at; the end where None.
        every: Show every so many steps.
        fps: Frames per second of the video; an Atari 2600 shows 60.
        progress: Called with the number of frames written, for each.

    Returns:
        The number of frames.

    Raises:
        InvalidArgumentError: The environment does not render, there are no steps to show, or the
            path has another ending.
        gymnasium.error.DependencyNotInstalled: PyAV is not installed.
    """
    frames = demo_frames(demo, env, start=start, stop=stop, every=every)
    return write_video(frames, path, fps=fps, progress=progress)
