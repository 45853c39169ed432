"""Sticky actions for one environment."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.core import ActType, ObsType

from hxwrappers.bridge.actions import MASK_METHOD, StickyCoins, warn_if_already_sticky
from hxwrappers.bridge.environments import require_env
from hxwrappers.snapshots.base import layers_of


class StickyActions(
    StickyCoins, gym.Wrapper[ObsType, ActType, ObsType, ActType], gym.utils.RecordConstructorArgs
):
    """Repeats the action executed last, instead of the one asked for, in a share of the steps.

    From Machado et al. 2018, "Revisiting the Arcade Learning Environment", arXiv 1709.06009,
    section 5: the environment executes the previously *executed* action with probability
    `repeat_probability`, so that a memorised sequence of actions no longer plays the game. The
    first step of an episode is never sticky, nor are the steps that a `DemoResetCurriculum` inside
    replays, nor the one in which an `Autoreset` inside only resets. Any action space works, nested
    ones included.

    An action that is not legal any more is not repeated: the one asked for is executed. What is
    legal says the environment's method `action_masks()`, as sb3-contrib's `MaskablePPO` asks for
    it, or else `info["action_mask"]`, or else `observation["action_mask"]`. Whatever makes the
    mask (`ActionMasker`) must be inside.

    The coins come from a generator of this wrapper, seeded by `reset(seed=)`; the environment's
    own randomness is left alone. `info["sticky_action"]` says whether the step repeated,
    `info["executed_action"]` what was executed. The wrapper is always on, in training and at
    evaluation alike.

    Args:
        env: The environment; a `StackedStickinessWarning` says if it is sticky already.
        repeat_probability: At least 0 and less than 1; can be changed at any time.

    Raises:
        InvalidArgumentError: The probability lies outside that range.
        InvalidArgumentError: The environment has an action mask that does not fit its actions.

    Example:
        >>> import gymnasium as gym
        >>> env = StickyActions(gym.make("FrozenLake-v1"), repeat_probability=0.5)
        >>> _ = env.reset(seed=0)
        >>> [env.step(action)[4]["sticky_action"] for action in (0, 3, 0, 3, 0)]
        [False, True, False, False, True]
        >>> env.repeat_probability = 0.0
    """

    unrestored = frozenset({"_repeat_probability"})

    def __init__(self, env: gym.Env[ObsType, ActType], repeat_probability: float = 0.25) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, repeat_probability=repeat_probability)
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        self._start_sticky(repeat_probability, 1, env.action_space)
        warn_if_already_sticky(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode; a seed also seeds the coins."""
        self._seed_coins([seed])
        self._first_step[:] = True
        observation, info = self.env.reset(seed=seed, options=options)
        self._note(observation, info)
        return observation, info

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Execute the action, or the one executed last, and say which in the info."""
        repeats = bool(self._toss(~self._replaying & (not _only_resets(self.env)))[0])
        executed = self._executed if repeats else action
        # Kept as a copy: callers may reuse the array of their action.
        self._executed = deepcopy(executed)
        observation, reward, terminated, truncated, info = self.env.step(executed)
        self._note(observation, info)
        self._first_step |= bool(terminated or truncated)
        own = {"sticky_action": repeats, "executed_action": deepcopy(self._executed)}
        return observation, reward, terminated, truncated, {**info, **own}

    def _note(self, observation: Any, info: dict[str, Any]) -> None:
        self._replaying[:] = info.get("replaying", False)
        self._note_masks({0: (observation, info)})

    def _ask_masks(self) -> list[Any] | None:
        if not self.env.has_wrapper_attr(MASK_METHOD):
            return None
        return [self.env.get_wrapper_attr(MASK_METHOD)()]


def _only_resets(env: gym.Env[Any, Any]) -> bool:
    """Whether the next step is not taken, but begins the next episode."""
    return any(
        isinstance(layer, gym.wrappers.Autoreset) and layer.autoreset for layer in layers_of(env)
    )
