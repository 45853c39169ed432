"""The effects of layers of a vector environment on observations, taken back for those inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from stable_baselines3.common.vec_env import (
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecNormalize,
    VecTransposeImage,
)

from hxwrappers.errors import InvalidArgumentError

Wrapper = TypeVar("Wrapper", bound=VecEnvWrapper)
Step = Callable[[Any], Any]


@dataclass(frozen=True)
class Inwards:
    """The way from what Stable-Baselines3 samples to what a wrapper inside observes.

    Attributes:
        normalized: Whether it begins at the normalised observations, or at those that a replay
            buffer stores.
        steps: What takes back each layer on the way, the outermost first.
    """

    normalized: bool
    steps: tuple[Step, ...]

    def follow(self, observations: Any) -> Any:
        """Batches of observations as the wrapper inside observed them."""
        for step in self.steps:
            observations = step(observations)
        return observations


def layers(env: VecEnv) -> Iterator[VecEnvWrapper]:
    """The wrappers of a vector environment of Stable-Baselines3, the outermost first."""
    while isinstance(env, VecEnvWrapper):
        yield env
        env = env.venv


def ways_to(env: VecEnv, kind: type[Wrapper]) -> Iterator[tuple[Wrapper, Inwards]]:
    """The wrappers of a kind, the outermost first, with the way to each.

    Args:
        env: The environment that a model learns in.
        kind: Their class.

    Raises:
        InvalidArgumentError: A layer outside of one changes observations in a way that is not
            known here.
    """
    stack = list(layers(env))
    # The one whose original observations and rewards Stable-Baselines3 stores.
    at = next((i for i, each in enumerate(stack) if isinstance(each, VecNormalize)), -1)
    for place, wrapper in enumerate(stack):
        if isinstance(wrapper, kind):
            passed = stack[at + 1 : place] if place > at else stack[:place]
            steps = [_taken_back(layer) for layer in passed]
            yield wrapper, Inwards(place < at, tuple(step for step in steps if step is not None))


def _taken_back(layer: VecEnvWrapper) -> Step | None:
    inner, outer = layer.venv.observation_space, layer.observation_space
    if isinstance(layer, VecTransposeImage) and not layer.skip:
        return partial(_channels_last, getattr(layer, "image_space_keys", None))
    if isinstance(layer, VecFrameStack):
        return partial(_newest, layer)
    if not isinstance(layer, VecNormalize) and outer == inner:
        return None
    if not isinstance(layer, VecNormalize) and _is_progress(outer, inner):
        return _without_progress
    raise InvalidArgumentError(
        f"What the {type(layer).__name__} around the bonus does to observations cannot be taken "
        "back to score them again. Put the bonus around it."
    )


def _is_progress(outer: Any, inner: Any) -> bool:
    return {*getattr(outer, "spaces", ())} == {"observation", "progress"} and (
        outer["observation"] == inner
    )


def _without_progress(observations: Any) -> Any:
    return observations["observation"]


def _channels_last(keys: list[str] | None, observations: Any) -> Any:
    if keys is None:
        return np.moveaxis(observations, -3, -1)
    pictures = {key: np.moveaxis(observations[key], -3, -1) for key in keys}
    return {**observations, **pictures}


def _newest(layer: VecFrameStack, observations: Any) -> Any:
    inner = layer.venv.observation_space
    stacked = layer.stacked_obs
    parts = getattr(stacked, "sub_stacked_observations", None)
    if parts is None:
        return _last_of(observations, stacked, inner)
    return {
        key: _last_of(each, parts[key], inner[key])  # type: ignore[index]
        for key, each in observations.items()
    }


def _last_of(observations: np.ndarray, stacked: Any, inner: Any) -> Any:
    size, axis = inner.shape[stacked.repeat_axis], stacked.stack_dimension
    number = observations.shape[axis]
    return np.take(observations, range(number - size, number), axis=axis)
