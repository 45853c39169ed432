"""What the novelty bonuses for vector environments have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.vector._entries import with_entries
from hxwrappers.vector._lanes import autoreset_mode, check_whole_batches, reset_lanes
from hxwrappers.vector._reached import reached_observations
from hxwrappers.vector._wrapper import AnyVectorWrapper
from hxwrappers.wrappers._bonus import model_seed
from hxwrappers.wrappers._holds_model import HoldsModel

__all__ = ["NoveltyBonus"]


class NoveltyBonus(HoldsModel, AnyVectorWrapper):
    """Adds a novelty bonus to the rewards of a vector environment; see `RNDBonus`."""

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        model: NoveltyModel | str | os.PathLike[str] | None,
        coefficient: float,
        observation_key: str | None,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(env)
        self._mode = autoreset_mode(env)
        check_whole_batches(env)
        self._hold(
            model,
            coefficient,
            env.single_observation_space,
            observation_key,
            settings,
            env.num_envs,
        )
        self._resetting = np.zeros(env.num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environments; a seed also seeds a model that has not learned anything yet."""
        self._watch()
        lanes = reset_lanes(self.env, options)
        observations, infos = self.env.reset(seed=cast(Any, seed), options=options)
        first = seed[0] if isinstance(seed, list) else seed
        if first is not None and self._owns_model:
            self.model.reseed(model_seed(first))
        self._remember(observations)
        self._resetting &= ~lanes
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step, and add the coefficient times the bonus of each observation reached."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        over = np.logical_or(terminations, truncations)
        part = observations if self._key is None else observations[self._key]
        if self._mode is AutoresetMode.SAME_STEP:
            part = reached_observations(part, over, infos, self._key)
        real = ~self._resetting
        bonuses = np.zeros(self.num_envs)
        if real.all():
            bonuses[:] = self._observe(part, self._streams, self._previous)
        elif real.any():
            previous = None if self._previous is None else self._previous[real]
            bonuses[real] = self._observe(part[real], self._streams[real], previous)
        self._remember(observations)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._resetting = over
        extrinsic = np.asarray(rewards, np.float64)
        added = self.coefficient * bonuses
        entries = {
            "extrinsic_reward": extrinsic,
            "intrinsic_reward": bonuses,
            "reward_bonus": added,
        }
        infos = with_entries(infos, entries, real)
        return observations, extrinsic + added, terminations, truncations, infos

    def state_dict(self) -> dict[str, Any]:
        """The model, with everything that it has learned, and where the environments are."""
        return {**super().state_dict(), "resetting": self._resetting.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; where the environments are, if they are as many.

        Raises:
            CheckpointError: The state is of another model, or incomplete.
        """
        super().load_state_dict(state)
        resetting = state.get("resetting", ())
        if len(resetting) == self.num_envs:
            self._resetting = np.array(resetting, np.bool_)

    def _remember(self, observations: Any) -> None:
        if self.model.uses_previous:
            part = observations if self._key is None else observations[self._key]
            self._previous = np.array(part)
