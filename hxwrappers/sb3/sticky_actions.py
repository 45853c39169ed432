"""Sticky actions for Stable-Baselines3's vector environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector.utils import batch_space
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers.bridge.actions import MASK_METHOD, StickyCoins, mask_row, warn_if_already_sticky
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.sb3.layers import hide_training, require_vec_env


class VecStickyActions(StickyCoins, VecEnvWrapper):
    """Repeats, in each environment by itself, the action executed last in a share of the steps.

    The Stable-Baselines3 form of `hxwrappers.StickyActions` (Machado et al. 2018,
    arXiv 1709.06009, section 5): with `seed(s)` it does exactly what single wrappers seeded s,
    s + 1, ... do. The first step of an episode is never sticky, nor are those that a
    `DemoResetCurriculum` inside replays, and actions that are not legal any more are not repeated.
    `infos[i]["sticky_action"]` says whether environment i repeated, `infos[i]["executed_action"]`
    what it executed.

    Args:
        venv: The environments; a `StackedStickinessWarning` says if they are sticky already.
        repeat_probability: At least 0 and less than 1; can be changed at any time.

    Raises:
        InvalidArgumentError: The probability lies outside that range, or `venv` is no `VecEnv`.
        InvalidArgumentError: An environment has an action mask that does not fit its actions.

    Example:
        >>> import numpy as np
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> venv = VecStickyActions(make_vec_env("FrozenLake-v1", 2, seed=0), 0.5)
        >>> _ = venv.reset()
        >>> for _ in range(3):
        ...     print([info["sticky_action"] for info in venv.step(np.array([3, 3]))[3]])
        [False, False]
        [True, False]
        [False, True]
    """

    def __init__(self, venv: VecEnv, repeat_probability: float = 0.25) -> None:
        require_vec_env(venv, self)
        VecEnvWrapper.__init__(self, venv)
        hide_training(self)
        spaces = batch_space(venv.action_space, venv.num_envs), venv.action_space
        self._start_sticky(repeat_probability, venv.num_envs, *spaces)
        self._has_masks: bool | None = None
        # make_vec_env seeds the environments before anyone can wrap them.
        self._coin_seeds: list[int | None] = list(venv.unwrapped._seeds)
        self._repeats = np.zeros(venv.num_envs, dtype=np.bool_)
        warn_if_already_sticky(venv)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the environments and the coins; both take effect at the next reset."""
        seeds = super().seed(seed)
        self._coin_seeds = list(seeds) if seed is None else [seed + i for i in range(self.num_envs)]
        return seeds

    def reset(self) -> VecEnvObs:
        """Begin an episode in every environment."""
        self._seed_coins(self._coin_seeds)
        self._coin_seeds = [None] * self.num_envs
        self._first_step[:] = True
        observations = self.venv.reset()
        self._note(observations, self.venv.unwrapped.reset_infos)
        return observations

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides later steps, as numbers, strings, lists and dicts."""
        seeds = [None if seed is None else int(seed) for seed in self._coin_seeds]
        return {**super().state_dict(), "coin_seeds": seeds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `state_dict` returned.

        Raises:
            CheckpointError: The state belongs to another number of environments or another action
                space, or parts of it are missing.
        """
        with checkpoint_errors("This is not a state of sticky actions"):
            seeds = [None if seed is None else int(seed) for seed in state["coin_seeds"]]
            super().load_state_dict(state)
        self._coin_seeds = seeds

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Send the actions off, some replaced by those executed last."""
        self._repeats = self._toss(~self._replaying)
        # Kept as a copy: callers may reuse the array of their actions.
        chosen = np.array(actions)
        if self._repeats.any():
            chosen[self._repeats] = self._executed[self._repeats]
        self._executed = chosen
        self.venv.step_async(chosen.copy())  # environments may change their actions in place

    def step_wait(self) -> VecEnvStepReturn:
        """Wait for the step and say in the infos which actions were repeated."""
        observations, rewards, dones, infos = self.venv.step_wait()
        self._first_step |= dones
        begun = self.venv.unwrapped.reset_infos
        self._note(observations, [begun[i] if done else infos[i] for i, done in enumerate(dones)])
        executed = self._executed.copy()
        infos = [
            {**info, "sticky_action": bool(repeats), "executed_action": action}
            for info, repeats, action in zip(infos, self._repeats, executed, strict=True)
        ]
        return observations, rewards, dones, infos

    def _note(self, observations: VecEnvObs, infos: Sequence[dict[str, Any]]) -> None:
        self._replaying = np.array([info.get("replaying", False) for info in infos], np.bool_)
        self._note_masks({i: (mask_row(observations, i), info) for i, info in enumerate(infos)})

    def _ask_masks(self) -> list[Any] | None:
        if self._has_masks is None:
            self._has_masks = self.venv.has_attr(MASK_METHOD)
        return self.venv.env_method(MASK_METHOD) if self._has_masks else None
