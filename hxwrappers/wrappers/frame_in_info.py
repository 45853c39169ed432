"""The rendered frame of an environment in its infos."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.core import ActType, ObsType

from hxwrappers.bridge.frame_source import FRAME_KEY
from hxwrappers.bridge.kinds import require_env
from hxwrappers.bridge.model_holder import TrainingSwitch
from hxwrappers.errors import InvalidArgumentError


class FrameInInfo(
    TrainingSwitch,
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
):
    """Puts what the environment renders into `info["frame"]`, at every reset and step.

    A vector environment that resets by itself has no picture of an episode's last step any more
    when it returns; the infos keep it. Put this around each environment of the vector, for
    `hxwrappers.vector.YouTubeImitationReward` and `hxwrappers.sb3.VecYouTubeImitationReward`.

    Args:
        env: The environment, made with `render_mode="rgb_array"`.

    Raises:
        InvalidArgumentError: The environment renders in another mode, or not.

    Example:
        >>> import ale_py
        >>> env = FrameInInfo(gym.make("ALE/Pong-v5", render_mode="rgb_array"))
        >>> env.reset(seed=0)[1]["frame"].shape
        (210, 160, 3)
    """

    def __init__(self, env: gym.Env[ObsType, ActType]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        if env.render_mode != "rgb_array":
            raise InvalidArgumentError(
                f"The environment's render_mode is {env.render_mode!r}; make it with "
                'render_mode="rgb_array", so that there is a picture to put into the infos.'
            )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Reset the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, FRAME_KEY: self._frame()}

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, FRAME_KEY: self._frame()}

    def _frame(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.array(self.env.render(), np.uint8)
