"""Every frame that an Atari game plays, with its sound, whatever the frame skip is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

__all__ = ["ALE_FRAMES_PER_SECOND", "ALE_SAMPLE_RATE", "SILENCE", "Ear", "tap_frames"]

ALE_FRAMES_PER_SECOND = 60.0
ALE_SAMPLE_RATE = 30_720
SILENCE = 128
"""The level of an 8-bit sample at which there is nothing to hear."""


def tap_frames(env: gym.Env[Any, Any], saw: Callable[[Any], object]) -> None:
    """Have a function called after each frame that an Atari game plays, and turn its sound on.

    With its sound on, the states of an emulator are others than without: see `Ear`.

    Args:
        env: The game; reset or restore it afterwards, since it is loaded anew.
        saw: Called with the emulator's interface, for `getScreenRGB` and `getAudio`.

    Example:
        >>> import ale_py
        >>> env, heard = gym.make("ALE/Pong-v5", frameskip=4), []
        >>> tap_frames(env, lambda ale: heard.append(ale.getAudio()))
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

    base.ale = _StandIn(base.ale, play)


class Ear:
    """A second emulator that plays the same frames and can be heard.

    The game's own emulator stays silent, and its states those that everybody else's has.

    Args:
        env: An Atari game.

    Attributes:
        is_listening: Whether the frames that are played now are to be heard.

    Example:
        >>> import ale_py
        >>> env = gym.make("ALE/Pong-v5", frameskip=4)
        >>> ear = Ear(env)
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
        base.ale = _StandIn(base.ale, self._play)

    def take(self) -> npt.NDArray[np.uint8] | None:
        """What was heard since this was last asked: mono samples, or None for nothing."""
        heard, self._heard = self._heard, []
        return np.concatenate(heard) if heard else None

    def lose(self) -> None:
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


class _StandIn:
    """An emulator's interface of which somebody else plays the frames."""

    def __init__(self, ale: Any, play: Callable[[Any, tuple[Any, ...]], int]) -> None:
        self._ale = ale
        self._play = play

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ale, name)

    def act(self, *arguments: Any) -> int:
        """Play a frame."""
        return self._play(self._ale, arguments)
