"""Sticky actions for a vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import concatenate, create_empty_array, iterate

from hxwrappers.bridge.actions import (
    MASK_KEY,
    MASK_METHOD,
    StickyCoins,
    mask_row,
    warn_if_already_sticky,
)
from hxwrappers.bridge.environments import (
    autoreset_mode,
    lane_seeds,
    require_full_batches,
    require_vector,
    reset_lanes,
)
from hxwrappers.errors import CheckpointError


class StickyActions(StickyCoins, VectorWrapper, gym.utils.RecordConstructorArgs):
    """Repeats, in each environment by itself, the action executed last in a share of the steps.

    The vector form of `hxwrappers.StickyActions` (Machado et al. 2018, arXiv 1709.06009,
    section 5): with seed s it does exactly what single wrappers seeded s, s + 1, ... do, in all
    three autoreset modes. The first step of an episode is never sticky; steps that a
    `DemoResetCurriculum` inside replays, and the one in which `AutoresetMode.NEXT_STEP` only
    resets, toss no coin. Actions that are not legal any more are not repeated. Works on `ale_py`'s
    `AtariVectorEnv`.

    `infos["sticky_action"]` is a bool array of shape `(num_envs,)`, and `infos["executed_action"]`
    the batch of actions that was executed, with the masks `infos["_sticky_action"]` and
    `infos["_executed_action"]` False where an environment was reset instead of stepped.

    Args:
        env: The vector environment; a `StackedStickinessWarning` says if it is sticky already.
        repeat_probability: At least 0 and less than 1; can be changed at any time.

    Raises:
        InvalidArgumentError: The probability lies outside that range, or the environment steps
            only a part of its environments at a time.
        InvalidArgumentError: The environment does not say when it resets, or has an action mask
            that does not fit its actions.

    Example:
        >>> import gymnasium as gym, numpy as np
        >>> envs = StickyActions(gym.make_vec("FrozenLake-v1", 2, "sync"), repeat_probability=0.5)
        >>> _ = envs.reset(seed=0)
        >>> [envs.step(np.array([3, 3]))[4]["sticky_action"].tolist() for _ in range(3)]
        [[False, False], [True, False], [False, True]]
    """

    def __init__(self, env: VectorEnv, repeat_probability: float = 0.25) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, repeat_probability=repeat_probability)
        require_vector(env, self)
        VectorWrapper.__init__(self, env)
        self._autoreset_mode = autoreset_mode(env)
        require_full_batches(env)
        spaces = env.action_space, env.single_action_space
        self._start_sticky(repeat_probability, env.num_envs, *spaces)
        self._has_masks: bool | None = None
        self._resets_next = np.zeros(env.num_envs, dtype=np.bool_)
        warn_if_already_sticky(env)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes, in all environments or those of `options["reset_mask"]`."""
        resetting = reset_lanes(self.env, options)
        self._seed_coins(lane_seeds(seed, resetting))
        self._first_step |= resetting
        self._resets_next &= ~resetting
        observations, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        self._replaying = np.where(resetting, self._replaying_in(infos), self._replaying)
        self._note(observations, infos, resetting)
        return observations, infos

    def step(
        self, actions: Any
    ) -> tuple[
        Any,
        npt.NDArray[np.float64],
        npt.NDArray[np.bool_],
        npt.NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Execute the actions, some replaced by those executed last, and say which in the infos."""
        stepping = ~self._resets_next
        repeats = self._toss(stepping & ~self._replaying)
        self._executed = self._choose(actions, repeats)
        observations, rewards, terminations, truncations, infos = self.env.step(
            deepcopy(self._executed)  # environments may change their actions in place
        )
        ended = np.logical_or(terminations, truncations)
        if self._autoreset_mode is not AutoresetMode.DISABLED:
            self._first_step |= ended
        if self._autoreset_mode is AutoresetMode.NEXT_STEP:
            self._resets_next = ended
        self._replaying = self._replaying_in(infos)
        self._note(observations, infos, np.ones(self.num_envs, np.bool_))
        own = {
            "sticky_action": repeats,
            "_sticky_action": stepping,
            "executed_action": deepcopy(self._executed),
            "_executed_action": stepping.copy(),
        }
        return observations, rewards, terminations, truncations, {**infos, **own}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides later steps, as numbers, strings, lists and dicts."""
        return {**super().state_dict(), "resets_next": self._resets_next.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `state_dict` returned.

        Raises:
            CheckpointError: The state belongs to another number of environments or another action
                space, or parts of it are missing.
        """
        if len(state.get("resets_next", ())) != self.num_envs:
            raise CheckpointError(
                f"This is not a state of sticky actions in a vector of {self.num_envs} "
                "environments. Pass what state_dict() returned for as many environments."
            )
        super().load_state_dict(state)
        self._resets_next = np.array(state["resets_next"], dtype=np.bool_)

    def _replaying_in(self, infos: dict[str, Any]) -> npt.NDArray[np.bool_]:
        """Say whose next step replays a demonstration, of those that these infos are about."""
        said = infos.get("replaying", False) & infos.get("_replaying", True)
        return np.broadcast_to(said, self.num_envs).astype(np.bool_)

    def _note(self, observations: Any, infos: dict[str, Any], lanes: npt.NDArray[np.bool_]) -> None:
        masks = infos.get(MASK_KEY)
        if (
            masks is None
            and mask_row(observations, 0) is None
            and not any(mask is not None for mask in self._masks)
        ):
            return
        told = np.broadcast_to(infos.get(f"_{MASK_KEY}", True), self.num_envs)
        self._note_masks(
            {
                index: (
                    mask_row(observations, index),
                    {MASK_KEY: masks[index]} if masks is not None and told[index] else {},
                )
                for index in np.flatnonzero(lanes).tolist()
            }
        )

    def _ask_masks(self) -> Sequence[Any] | None:
        inner = self.env.unwrapped
        own = getattr(inner, MASK_METHOD, None)
        if own is not None:
            return cast(Sequence[Any], own())
        call = getattr(inner, "call", None)
        if self._has_masks is None:
            # Called for what they do not have, the workers of an AsyncVectorEnv would end.
            self._has_masks = call is not None and all(call("has_wrapper_attr", MASK_METHOD))
        return call(MASK_METHOD) if call is not None and self._has_masks else None

    def _choose(self, actions: Any, repeats: npt.NDArray[np.bool_]) -> Any:
        """Return a batch of its own: callers may reuse the arrays of their actions."""
        if isinstance(actions, np.ndarray):
            chosen = actions.copy()
            if repeats.any():
                chosen[repeats] = self._executed[repeats]
            return chosen
        asked = iterate(self.action_space, actions)
        if self._executed is None:
            items = list(asked)
        else:
            last = iterate(self.action_space, self._executed)
            items = [
                old if again else new for old, new, again in zip(last, asked, repeats, strict=True)
            ]
        single = self.single_action_space
        out: Any = create_empty_array(single, self.num_envs)
        return concatenate(single, items, out)
