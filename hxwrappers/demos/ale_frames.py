"""Every frame that an Atari game plays, with its sound, whatever the frame skip is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym

__all__ = ["ALE_FRAMES_PER_SECOND", "ALE_SAMPLE_RATE", "SILENCE", "tap_frames"]

ALE_FRAMES_PER_SECOND = 60.0
ALE_SAMPLE_RATE = 30_720
SILENCE = 128
"""The level of an 8-bit sample at which there is nothing to hear."""


def tap_frames(env: gym.Env[Any, Any], saw: Callable[[Any], object]) -> None:
    """Have a function called after each frame that an Atari game plays, and turn its sound on.

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
    base.ale = _Tapped(base.ale, saw)


class _Tapped:
    """Stands in for the emulator's interface."""

    def __init__(self, ale: Any, saw: Callable[[Any], object]) -> None:
        self._ale = ale
        self._saw = saw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ale, name)

    def act(self, *arguments: Any) -> int:
        """Play a frame."""
        reward = self._ale.act(*arguments)
        self._saw(self._ale)
        return int(reward)
