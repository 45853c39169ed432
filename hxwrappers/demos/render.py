"""Demonstrations as videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._video_file import Part, write_video
from hxwrappers.demos.demo import Demo
from hxwrappers.errors import InvalidArgumentError

__all__ = ["demo_frames", "render_demo"]


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
    """Write a demonstration as a video.

    Args:
        demo: The demonstration.
        env: Its environment, made with `render_mode="rgb_array"`.
        path: The video to write: `.mp4` (H.264), `.mkv` or `.webm`.
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
    return write_video(path, map(Part, frames), frames_per_second=fps, progress=progress)
