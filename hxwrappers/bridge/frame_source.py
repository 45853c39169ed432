"""Sources of the RGB frames that a wrapper looks at, and their rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from hxwrappers.demos.environment import frames_per_step
from hxwrappers.errors import InvalidArgumentError

FRAME_KEY = "frame"


ALE_FRAMES_PER_SECOND = 60.0


class FrameSource:
    """Where a wrapper gets the RGB frames from.

    Args:
        name: `"render"`, `"info"`, `"observation"`, or `"observation:KEY"` for a part of a Dict
            observation.
        space: The observation space of one environment.
        can_render: Whether `"render"` is possible here.

    Raises:
        InvalidArgumentError: There is no such source, or none such here.
        InvalidArgumentError: The observation is no RGB picture.
    """

    def __init__(self, name: str, space: spaces.Space[Any], *, can_render: bool) -> None:
        kind, _, key = name.partition(":")
        self.kind = kind
        self._key = key or None
        if kind not in ("render", "info", "observation") or (key and kind != "observation"):
            raise InvalidArgumentError(
                f'There are no frames from {name!r}; choose "render", "info", "observation" or '
                '"observation:KEY".'
            )
        if kind == "render" and not can_render:
            raise InvalidArgumentError(
                "A vector environment does not render the last step of an episode, which it has "
                "left when it returns. Put hxwrappers.wrappers.FrameInInfo around each of its "
                'environments and use frames="info", or observe RGB frames and use '
                'frames="observation".'
            )
        self._stacked = False
        if kind == "observation":
            parts: Any = space.spaces if isinstance(space, spaces.Dict) else {None: space}
            part = parts.get(self._key)
            shape = part.shape if isinstance(part, spaces.Box) else ()
            if part is None or part.dtype != np.uint8 or len(shape) not in (3, 4) or shape[-1] != 3:
                raise InvalidArgumentError(
                    f"There are no RGB frames under {name!r} in observations in {space}; uint8 of "
                    "shape (height, width, 3), or a stack of these with the newest last, was "
                    "expected. Grey frames do not do: observe colour (grayscale=False), or use "
                    'frames="render" or "info".'
                )
            self._stacked = len(shape) == 4

    def check_env(self, env: gym.Env[Any, Any]) -> None:
        """Refuse an environment that shall render and does not.

        Raises:
            InvalidArgumentError: It was made with another render mode.
        """
        if self.kind == "render" and env.render_mode != "rgb_array":
            raise InvalidArgumentError(
                f"The environment's render_mode is {env.render_mode!r}; make it with "
                'render_mode="rgb_array", or choose other frames than "render".'
            )

    def of_observation(self, observation: Any) -> npt.NDArray[np.uint8]:
        """The frame, or frames of a batch, in what was observed."""
        part = np.asarray(observation if self._key is None else observation[self._key])
        newest: npt.NDArray[np.uint8] = part[..., -1, :, :, :] if self._stacked else part
        return newest

    def of_info(self, info: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """The frame, or frames of a batch, in the infos.

        Raises:
            InvalidArgumentError: There is none.
        """
        if FRAME_KEY not in info:
            raise InvalidArgumentError(
                f'There is no info["{FRAME_KEY}"]. Put hxwrappers.wrappers.FrameInInfo around each '
                "environment inside the vector environment."
            )
        return np.asarray(info[FRAME_KEY])

    def of_env(
        self, env: gym.Env[Any, Any], observation: Any, info: Mapping[str, Any]
    ) -> npt.NDArray[np.uint8]:
        """The frame of one environment."""
        if self.kind == "render":
            return np.asarray(env.render())
        return self.of_info(info) if self.kind == "info" else self.of_observation(observation)


def steps_per_second(env: gym.Env[Any, Any]) -> float | None:
    """How many steps of an Atari game are a second of it, or None for anything else.

    The emulator's 60 frames a second over the frame skips of the emulator and of the wrappers.
    """
    base = env.unwrapped
    if not hasattr(base, "ale"):
        return None
    frames = frames_per_step(base)
    layer: Any = env
    while isinstance(layer, gym.Wrapper):
        frames *= getattr(layer, "frame_skip", getattr(layer, "_skip", 1))
        layer = layer.env
    return ALE_FRAMES_PER_SECOND / frames
