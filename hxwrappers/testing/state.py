"""The promise that a saved and loaded wrapper goes on unchanged."""

from __future__ import annotations

import io
from typing import Any

import gymnasium as gym
import torch

from hxwrappers.errors import HxWrappersError
from hxwrappers.testing.trajectory import (
    EnvFactory,
    Recorder,
    Wrap,
    play,
    replay,
    require,
    require_same_records,
    sample_actions,
)

PROMISE = "state_dict"


def check_state_dict(
    wrap: Wrap,
    make_env: EnvFactory,
    *,
    seed: int = 0,
    steps: int = 60,
    mid_episode: bool = True,
) -> None:
    """Check that save, load and continue equals to continue, bit for bit.

    The wrapper plays half of the steps; its state goes through `torch.save` and
    `torch.load(weights_only=True)` into a new wrapper around an environment that has been brought
    to the same point; then both play the other half. Of several wrappers around each other every
    one that has a state is saved and loaded.

    Args:
        wrap: Makes the wrapper, or several, around an environment, with everything in it new at
            each call.
        make_env: Makes the environment, which must be deterministic given its seed.
        seed: For the environment, the wrapper and the actions.
        steps: How many steps to play in all.
        mid_episode: Save in the midst of an episode. False lets both go on with a seeded reset,
            for wrappers that move the environment by other means than `reset` and `step`.

    Raises:
        WrapperContractError: The state is missing, cannot be saved or loaded safely, or misses
            something that matters later.

    Example:
        >>> from hxwrappers import StickyActions
        >>> check_state_dict(StickyActions, lambda: gym.make("CartPole-v1"))
    """
    # Some wrappers accept no further one below them; they are saved between two episodes.
    recorder = Recorder(make_env()) if mid_episode else None
    below = make_env() if recorder is None else recorder
    straight = wrap(below)
    require(
        bool(stateful_layers(straight, below)),
        PROMISE,
        f"{type(straight).__name__} has no state_dict() and load_state_dict().",
    )
    actions = sample_actions(straight.action_space, steps, seed)
    half = steps // 2
    play(straight, actions[:half], seed)
    saved = _through_a_file([layer.state_dict() for layer in stateful_layers(straight, below)])

    other = make_env()
    if recorder is not None:
        replay(other, recorder.calls)
    resumed = wrap(other)
    try:
        for layer, state in zip(stateful_layers(resumed, other), saved, strict=True):
            layer.load_state_dict(state)
    except (HxWrappersError, KeyError, RuntimeError, TypeError, ValueError) as error:
        require(False, PROMISE, f"the saved state cannot be loaded again ({error!r}).")
    next_seed = None if mid_episode else seed + 1
    require_same_records(
        PROMISE,
        play(straight, actions[half:], next_seed),
        play(resumed, actions[half:], next_seed),
        "going on and going on from the saved state differ",
    )


def stateful_layers(env: gym.Env[Any, Any], below: gym.Env[Any, Any]) -> list[Any]:
    """The wrappers with a state from the outermost to the one around `below`."""
    layers = []
    layer: Any = env
    while layer is not below and isinstance(layer, gym.Wrapper):
        if hasattr(layer, "state_dict") and hasattr(layer, "load_state_dict"):
            layers.append(layer)
        layer = layer.env
    return layers


def _through_a_file(states: list[Any]) -> list[Any]:
    file = io.BytesIO()
    try:
        torch.save(states, file)
        file.seek(0)
        loaded: list[Any] = torch.load(file, weights_only=True)
        return loaded
    except Exception as error:  # pickle and torch raise many kinds
        require(
            False,
            PROMISE,
            "the state does not survive torch.save and torch.load(weights_only=True): "
            f"{type(error).__name__}: {error}. Use tensors and plain values only.",
        )
        raise
