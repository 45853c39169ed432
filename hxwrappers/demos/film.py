"""Videos of demonstrations: every frame and the sound of a game, or rendered steps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers.demos.demo import Demo
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.video_file import Part, write_video
from hxwrappers.snapshots import AleSnapshotter

ALE_FRAMES_PER_SECOND = 60.0
ALE_SAMPLE_RATE = 30_720
SILENCE = 128
"""The level of an 8-bit sample at which there is nothing to hear."""


def intercept_frames(env: gym.Env[Any, Any], saw: Callable[[Any], object]) -> None:
    """Have a function called after each frame that an Atari game plays, and turn its sound on.

    With its sound on, the states of an emulator are others than without: see `SoundEmulator`.

    Args:
        env: The game; reset or restore it afterwards, since it is loaded anew.
        saw: Called with the emulator's interface, for `getScreenRGB` and `getAudio`.

    Example:
        >>> import ale_py
        >>> env, heard = gym.make("ALE/Pong-v5", frameskip=4), []
        >>> intercept_frames(env, lambda ale: heard.append(ale.getAudio()))
        >>> _ = env.reset(seed=0)
        >>> heard.clear()
        >>> _ = env.step(0)
        >>> len(heard), heard[0].shape, heard[0].dtype
        (4, (512,), dtype('uint8'))
    """
    base: Any = env.unwrapped
    # The emulator looks at this setting only while it loads the game.
    base.ale.setBool("sound_obs", True)
    base.load_game()

    def play(ale: Any, arguments: tuple[Any, ...]) -> int:
        reward = ale.act(*arguments)
        saw(ale)
        return int(reward)

    base.ale = _AleProxy(base.ale, play)


class SoundEmulator:
    """A second emulator that plays the same frames and can be heard.

    The game's own emulator stays silent, and its states those that everybody else's has.

    Args:
        env: An Atari game.

    Attributes:
        is_listening: Whether the frames that are played now are to be heard.

    Example:
        >>> import ale_py
        >>> env = gym.make("ALE/Pong-v5", frameskip=4)
        >>> ear = SoundEmulator(env)
        >>> _ = env.reset(seed=0)
        >>> ear.is_listening = True
        >>> _ = env.step(0)
        >>> ear.take().shape
        (2048,)
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        import ale_py  # noqa: PLC0415 - optional; it is there, since the environment is

        base: Any = env.unwrapped
        rom: Any = ale_py.roms.get_rom_path(base._game)
        self.is_listening = False
        self._is_in_step = False
        self._heard: list[npt.NDArray[np.uint8]] = []
        self._ale: Any = ale_py.ALEInterface()
        stickiness = base.ale.getFloat("repeat_action_probability")
        self._ale.setFloat("repeat_action_probability", stickiness)
        self._ale.setBool("sound_obs", True)
        self._ale.loadROM(rom)
        base.ale = _AleProxy(base.ale, self._play)

    def take(self) -> npt.NDArray[np.uint8] | None:
        """What was heard since this was last asked: mono samples, or None for nothing."""
        heard, self._heard = self._heard, []
        return np.concatenate(heard) if heard else None

    def resync(self) -> None:
        """The game was put into another state."""
        self._is_in_step = False

    def _play(self, ale: Any, arguments: tuple[Any, ...]) -> int:
        if self.is_listening:
            if not self._is_in_step:
                self._ale.restoreState(ale.cloneState(include_rng=True))
            self._ale.act(*arguments)
            samples: npt.NDArray[np.uint8] = self._ale.getAudio()
            # A constant level is silence, whichever it is.
            is_silent = samples.min() == samples.max()
            self._heard.append(np.full_like(samples, SILENCE) if is_silent else samples)
        self._is_in_step = self.is_listening
        return int(ale.act(*arguments))


class _AleProxy:
    """An emulator's interface of which somebody else plays the frames."""

    def __init__(self, ale: Any, play: Callable[[Any, tuple[Any, ...]], int]) -> None:
        self._ale = ale
        self._play = play

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ale, name)

    def act(self, *arguments: Any) -> int:
        """Play a frame."""
        return self._play(self._ale, arguments)


class FilmFrame(NamedTuple):
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
) -> Iterator[FilmFrame]:
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
        DemoError: The environment is of another kind than the recording's.

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
) -> Iterator[FilmFrame]:
    for transition in demo.replay(env, start, stop):
        yield FilmFrame(transition.step, np.array(env.render(), np.uint8), None)


def _film_ale(
    demo: Demo, env: gym.Env[Any, Any], start: int, stop: int | None
) -> Iterator[FilmFrame]:
    film: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []
    shown: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []
    intercept_frames(env, lambda ale: film.append((ale.getScreenRGB(), ale.getAudio())))
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
            yield FilmFrame(transition.step, frame, heard)


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
