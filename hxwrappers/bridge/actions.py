"""Actions: masks that say which are legal, and coins that make them sticky."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from hxwrappers._utils.checks import brief
from hxwrappers.bridge.environments import TrainingSwitch
from hxwrappers.errors import CheckpointError, InvalidArgumentError, StackedStickinessWarning
from hxwrappers.files.generators import generator_from_state, own_generator

MASK_METHOD = "action_masks"
"""What sb3-contrib's `MaskablePPO` asks an environment for."""
MASK_KEY = "action_mask"
"""Where Gymnasium's `info`, and the Dict observations of PettingZoo and RLlib, hold the mask."""


def flat_mask(mask: Any, space: gym.Space[Any]) -> npt.NDArray[np.bool_]:
    """A mask of the actions of one environment, as one array of its own.

    Args:
        mask: One entry for each action of a Discrete space, true or 1 where it is legal; for each
            action of each part of a MultiDiscrete one, in one array or in a tuple of arrays; for 0
            and for 1 of each part of a MultiBinary one.
        space: The space of one environment's actions.

    Raises:
        InvalidArgumentError: It is no such mask, or there are none for such actions.

    Example:
        >>> flat_mask(([1, 0], [0, 1, 1]), spaces.MultiDiscrete([2, 3])).tolist()
        [True, False, False, True, True]
    """
    size = _mask_size(space)
    parts = mask if isinstance(mask, tuple | list) else [mask]
    flat = np.concatenate([np.ravel(np.asarray(part)) for part in parts])
    if flat.size != size or not ((flat == 0) | (flat == 1)).all():
        raise InvalidArgumentError(
            f"The environment's action mask is {brief(repr(mask))}, but one for {space} has {size} "
            "entries, each 0 or 1. Wrappers that change observations (VecNormalize, frame stacks) "
            "must leave the mask in them alone."
        )
    return flat.astype(np.bool_)


def is_legal(action: Any, mask: npt.NDArray[np.bool_] | None, space: gym.Space[Any]) -> bool:
    """Whether a mask allows an action.

    Args:
        action: One environment's action.
        mask: What `flat_mask` returned, or None where there is none.
        space: The space of one environment's actions.

    Example:
        >>> is_legal(1, flat_mask([1, 0], spaces.Discrete(2)), spaces.Discrete(2))
        False
    """
    if mask is None:
        return True
    if isinstance(space, spaces.Discrete):
        return bool(mask[int(action) - int(space.start)])
    parts = np.ravel(action).astype(np.int64)  # policies of Stable-Baselines3 give floats
    if isinstance(space, spaces.MultiDiscrete):
        parts = parts - np.ravel(space.start)
        sizes = np.ravel(space.nvec)
    else:
        sizes = np.full(parts.size, 2)
    return bool(mask[np.cumsum(sizes) - sizes + parts].all())


def _mask_size(space: gym.Space[Any]) -> int:
    match space:
        case spaces.Discrete():
            return int(space.n)
        case spaces.MultiDiscrete():
            return int(np.sum(space.nvec))
        case spaces.MultiBinary():
            return 2 * int(np.prod(space.shape))
    raise InvalidArgumentError(
        f"The environment masks its actions, but there are no masks for {space}: only for "
        "Discrete, MultiDiscrete and MultiBinary actions. Take the mask out of the environment."
    )


def mask_row(observations: Any, index: int) -> dict[str, Any] | None:
    """The mask in one environment's row of a batch of Dict observations; None without one."""
    if isinstance(observations, dict) and MASK_KEY in observations:
        return {MASK_KEY: observations[MASK_KEY][index]}
    return None


class StickyCoins(TrainingSwitch):
    """One seeded coin per environment, tossed once a step except in the first of an episode.

    Steps that replay a demonstration, whatever the action, are not yet that first one. An action
    that the environment's mask forbids by now is not repeated, whatever the coin says.
    """

    def _start_sticky(
        self,
        repeat_probability: float,
        num_envs: int,
        action_space: gym.Space[Any],
        single_space: gym.Space[Any] | None = None,
    ) -> None:
        """Begin; `single_space` is that of one environment where `action_space` is of a batch."""
        self.repeat_probability = repeat_probability
        self._sticky_space = action_space
        self._batched = single_space is not None
        self._one_space = action_space if single_space is None else single_space
        self._generators = [own_generator(None, "StickyActions") for _ in range(num_envs)]
        self._first_step = np.ones(num_envs, dtype=np.bool_)
        self._replaying = np.zeros(num_envs, dtype=np.bool_)
        self._executed: Any = None
        self._masks: list[npt.NDArray[np.bool_] | None] = [None] * num_envs

    @property
    def repeat_probability(self) -> float:
        """The probability, from 0 up to but without 1, that a step repeats the last action."""
        return self._repeat_probability

    @repeat_probability.setter
    def repeat_probability(self, value: float) -> None:
        if not 0 <= value < 1:
            raise InvalidArgumentError(
                f"repeat_probability is {value!r}, but must be at least 0 and less than 1. "
                "The published value is 0.25; use 0 to switch stickiness off."
            )
        self._repeat_probability = float(value)

    def _seed_coins(self, seeds: Sequence[int | None]) -> None:
        for index, seed in enumerate(seeds):
            if seed is not None:
                self._generators[index] = own_generator(int(seed), "StickyActions")

    def _toss(self, acting: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Say which environments repeat their action; those that do not act toss no coin."""
        repeats = np.zeros(len(self._generators), dtype=np.bool_)
        for index in np.flatnonzero(acting & ~self._first_step).tolist():
            repeats[index] = self._generators[index].random() < self._repeat_probability
        self._first_step &= ~acting
        if repeats.any():
            self._keep_to_masks(repeats)
        return repeats

    def _keep_to_masks(self, repeats: npt.NDArray[np.bool_]) -> None:
        """Take back the repetitions of actions that are not legal now."""
        asked = self._ask_masks()
        space = self._one_space
        masks = self._masks if asked is None else [flat_mask(mask, space) for mask in asked]
        for index in np.flatnonzero(repeats).tolist():
            if masks[index] is not None:
                action = self._executed[index] if self._batched else self._executed
                repeats[index] = is_legal(action, masks[index], space)

    def _ask_masks(self) -> Sequence[Any] | None:
        """What a method `action_masks` of each environment says now; None without that method."""
        raise NotImplementedError

    def _note_masks(self, lanes: Mapping[int, tuple[Any, Mapping[str, Any]]]) -> None:
        """Keep the masks in infos, or else in observations, for the next step.

        Args:
            lanes: Observation and info by the index of the environment.
        """
        for index, (observation, info) in lanes.items():
            mask = info.get(MASK_KEY)
            if mask is None and isinstance(observation, dict):
                mask = observation.get(MASK_KEY)
            self._masks[index] = None if mask is None else flat_mask(mask, self._one_space)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides later steps, as numbers, strings, lists and dicts."""
        executed = self._executed
        return {
            "action_space": str(self._sticky_space),
            "repeat_probability": self._repeat_probability,
            "generators": [generator.bit_generator.state for generator in self._generators],
            "first_step": self._first_step.tolist(),
            "replaying": self._replaying.tolist(),
            "executed": None if executed is None else self._sticky_space.to_jsonable([executed]),
            "masks": [None if mask is None else mask.tolist() for mask in self._masks],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `state_dict` returned.

        Raises:
            CheckpointError: The state belongs to another number of environments or another action
                space, or parts of it are missing.
        """
        space = state.get("action_space", str(self._sticky_space))
        if space != str(self._sticky_space):
            raise CheckpointError(
                f"The state belongs to the actions {space}, but these are {self._sticky_space}. "
                "Load it into a wrapper over the same action space."
            )
        try:
            generators = [generator_from_state(item) for item in state["generators"]]
            first_step = np.array(state["first_step"], dtype=np.bool_)
            # Not in states of earlier versions, which did not look at them.
            replaying = np.array(state.get("replaying", [False] * first_step.size), dtype=np.bool_)
            masks = [
                None if mask is None else flat_mask(mask, self._one_space)
                for mask in state.get("masks", [None] * first_step.size)
            ]
            saved = state["executed"]
            executed = None if saved is None else self._sticky_space.from_jsonable(saved)[0]
            probability = state["repeat_probability"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckpointError(
                f"This is not a state of sticky actions over {self._sticky_space} "
                f"({type(error).__name__}: {error}). Pass what state_dict() returned for the same "
                "environment."
            ) from error
        shapes = {first_step.shape, replaying.shape, (len(generators),), (len(masks),)}
        if shapes != {self._first_step.shape}:
            raise CheckpointError(
                f"The state holds {len(generators)} environments, but there are "
                f"{len(self._generators)}. Load it into a wrapper over as many environments."
            )
        self.repeat_probability = probability
        self._generators, self._executed = generators, executed
        self._first_step, self._replaying, self._masks = first_step, replaying, masks


def find_stickiness(env: Any) -> str | None:
    """Name the first source of sticky actions in a stack of environments, or None.

    Looks through wrappers, synchronous vector environments and the emulator's own setting. A
    vector environment in other processes hides what it holds; so does an `AtariVectorEnv` made by
    its constructor with a `repeat_action_probability`, which it does not keep (one made by
    `gymnasium.make_vec` or `hxwrappers.envs.make_atari` says it in its spec).
    """
    while True:
        if isinstance(env, StickyCoins | gym.wrappers.StickyAction):
            return type(env).__name__
        own = getattr(env, "__dict__", {})
        if own.get("envs"):
            return find_stickiness(own["envs"][0])
        if isinstance(env, gym.Wrapper | gym.vector.VectorWrapper):
            env = env.env
        elif "venv" in own:
            env = own["venv"]
        else:
            break
    read = getattr(getattr(env, "ale", None), "getFloat", None)
    if read is not None:
        probability = read("repeat_action_probability")
    else:
        kwargs = getattr(getattr(env, "spec", None), "kwargs", {})
        probability = kwargs.get("repeat_action_probability", 0)
    return f"the emulator (repeat_action_probability={probability:g})" if probability > 0 else None


def warn_if_already_sticky(env: Any) -> None:
    """Warn when actions would be sticky twice: the result is none of the published protocols."""
    source = find_stickiness(env)
    if source is not None:
        warnings.warn(
            f"Sticky actions are stacked twice: {source} below already repeats actions, so the "
            "agent loses control more often than repeat_probability says. Keep one source, for "
            "example gymnasium.make(..., repeat_action_probability=0.0).",
            StackedStickinessWarning,
            stacklevel=3,
        )
