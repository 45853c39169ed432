"""Demonstrations as films: every frame that the game showed, and the sound that it made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.demos.ale_frames import ALE_FRAMES_PER_SECOND, ALE_SAMPLE_RATE, SILENCE, tap_frames
from hxwrappers.demos.demo import Demo
from hxwrappers.demos.snapshots.ale import AleSnapshotter
from hxwrappers.errors import InvalidArgumentError

__all__ = ["ALE_FRAMES_PER_SECOND", "ALE_SAMPLE_RATE", "Shot", "film_demo", "film_rates"]


class Shot(NamedTuple):
    """One frame of a game.

    Attributes:
        step: The step of the demonstration that the frame belongs to, from 1; with frame skip
            several frames belong to one step.
        frame: `(height, width, 3)`, RGB, `uint8`.
        sound: Mono samples in [-1, 1], `float32`, `(samples,)`; None where the game has no sound.
    """

    step: int
    frame: npt.NDArray[np.uint8]
    sound: npt.NDArray[np.float32] | None


def film_rates(env: gym.Env[Any, Any]) -> tuple[float, int | None]:
    """Frames and samples of sound a second of a film of an environment.

    Args:
        env: The environment.

    Returns:
        60 and 30,720 for Atari games; otherwise the environment's `render_fps`, or 15, and None.
    """
    if AleSnapshotter.supports(env):
        return ALE_FRAMES_PER_SECOND, ALE_SAMPLE_RATE
    return float(env.metadata.get("render_fps") or 15.0), None


def film_demo(
    demo: Demo, env: gym.Env[Any, Any], *, start: int = 0, stop: int | None = None
) -> Iterator[Shot]:
    """Replay a demonstration and film what the game shows and sounds like.

    Atari games are filmed frame by frame whatever the frame skip is, with their sound, 512 samples
    a frame. Everything else gives one silent frame a step, as it renders.

    Args:
        demo: The demonstration.
        env: Its environment, made with `render_mode="rgb_array"`. It is changed for the filming:
            use it for nothing else.
        start: The step to begin at.
        stop: The step to stop at; the end where None.

    Yields:
        The frames that the steps `start + 1` to `stop` led to.

    Raises:
        InvalidArgumentError: The environment does not render.
        DemoMismatchError: The environment is of another kind than the recording's.

    Example:
        >>> from hxwrappers.demos import make_environment, shipped
        >>> demo = shipped("montezuma-first-key")
        >>> env = make_environment(demo, render_mode="rgb_array")
        >>> shots = list(film_demo(demo, env, stop=50))
        >>> len(shots), shots[0].frame.shape, shots[0].sound.shape
        (50, (210, 160, 3), (512,))
    """
    if env.render_mode != "rgb_array":
        raise InvalidArgumentError(
            f"The environment's render_mode is {env.render_mode!r}; make it with "
            'render_mode="rgb_array" to film it.'
        )
    if AleSnapshotter.supports(env):
        return _film_ale(demo, env, start, stop)
    return _film_rendered(demo, env, start, stop)


def _film_rendered(
    demo: Demo, env: gym.Env[Any, Any], start: int, stop: int | None
) -> Iterator[Shot]:
    for transition in demo.replay(env, start, stop):
        yield Shot(transition.step, np.array(env.render(), np.uint8), None)


def _film_ale(demo: Demo, env: gym.Env[Any, Any], start: int, stop: int | None) -> Iterator[Shot]:
    film: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []
    shown: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []
    tap_frames(env, lambda ale: film.append((ale.getScreenRGB(), ale.getAudio())))
    step = env.step

    def filmed_step(action: Any) -> Any:
        film.clear()
        result = step(action)
        shown[:] = film
        return result

    # Only what happens in a step is part of the film, not what a restore does to the emulator.
    vars(env)["step"] = filmed_step
    for transition in demo.replay(env, start, stop):
        for frame, sound in shown:
            heard = np.multiply(sound.astype(np.float32) - SILENCE, 1 / SILENCE, dtype=np.float32)
            yield Shot(transition.step, frame, heard)
