"""A wrapper that hides the steps which only replay a demonstration."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
from gymnasium.core import ActType, ObsType

from hxwrappers.bridge.environments import TrainingSwitch, require_env
from hxwrappers.errors import InvalidArgumentError

_TRIES = 10
_OF_A_STEP = ("extrinsic_reward", "intrinsic_reward", "reward_bonus")


class SkipReplayedSteps(
    TrainingSwitch,
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
):
    """Takes the replayed steps of a `DemoResetCurriculum` below by itself, within `reset`.

    For trainers that would learn from these steps, such as stock PPO: put it outside of frame
    skip and frame stack, and the first observation that the agent sees already has the true
    frames in its stack. Recurrent policies must see the steps themselves; see `DemoRecurrentPPO`.
    `training` is the curriculum's own, set through this wrapper.

    Args:
        env: The environment, with a `DemoResetCurriculum` somewhere inside.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers import DemoResetCurriculum
        >>> from hxwrappers.demos import DemoRecording
        >>> recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
        >>> _ = recording.reset(seed=0)
        >>> for action in (1, 1, 2, 1, 2, 2):
        ...     _ = recording.step(action)
        >>> env = gym.make("FrozenLake-v1", is_slippery=False)
        >>> env = DemoResetCurriculum(env, recording.demo(), window=0, replay_steps=2)
        >>> env = SkipReplayedSteps(gym.wrappers.FrameStackObservation(env, 3))
        >>> env.reset(seed=0)[0].tolist()
        [9, 13, 14]
    """

    def __init__(self, env: gym.Env[ObsType, ActType]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        # Replayed steps do not look at it; what a frame skip outside takes beyond them does.
        meanings = list(getattr(env.unwrapped, "get_action_meanings", list)())
        if "NOOP" in meanings:
            self._any_action: Any = meanings.index("NOOP")
        else:
            actions = deepcopy(env.action_space)
            actions.seed(0)
            self._any_action = actions.sample()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode, and go on to the first step that is the agent's.

        Raises:
            InvalidArgumentError: Episodes end within the replay, again and again.
        """
        observation, info = self.env.reset(seed=seed, options=options)
        cut_off = 0
        while info.get("replaying", False):
            observation, _, terminated, truncated, info = self.env.step(self._any_action)
            if terminated or truncated:
                cut_off += 1
                if cut_off == _TRIES:
                    raise InvalidArgumentError(
                        f"{_TRIES} episodes in a row ended while the demonstration was replayed: a "
                        "time limit between SkipReplayedSteps and DemoResetCurriculum is shorter "
                        "than replay_steps. Put it outside, or replay less."
                    )
                observation, info = self.env.reset(options=options)
        # The last replayed step is none of this episode: a reset has no rewards.
        return observation, {key: info[key] for key in info if key not in _OF_A_STEP}
