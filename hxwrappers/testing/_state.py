"""The promise that a saved and loaded wrapper goes on as if nothing had happened."""

from __future__ import annotations

import io
from typing import Any

import gymnasium as gym
import torch

from hxwrappers.errors import HxWrappersError
from hxwrappers.testing._trajectory import (
    EnvFactory,
    Recorder,
    Wrap,
    play,
    replay,
    require,
    require_same_records,
    sample_actions,
)

__all__ = ["check_state_dict"]

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
    to the same point; then both play the other half.

    Args:
        wrap: Makes the wrapper around an environment, with everything in it new at each call.
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
    recorder = Recorder(make_env())
    straight = wrap(recorder)
    require(
        hasattr(straight, "state_dict") and hasattr(straight, "load_state_dict"),
        PROMISE,
        f"{type(straight).__name__} has no state_dict() and load_state_dict().",
    )
    actions = sample_actions(straight.action_space, steps, seed)
    half = steps // 2
    play(straight, actions[:half], seed)
    saved = _through_a_file(straight)

    below = make_env()
    if mid_episode:
        replay(below, recorder.calls)
    resumed = wrap(below)
    try:
        resumed.load_state_dict(saved)  # type: ignore[attr-defined]
    except (HxWrappersError, KeyError, RuntimeError, TypeError, ValueError) as error:
        require(False, PROMISE, f"the saved state cannot be loaded again ({error!r}).")
    next_seed = None if mid_episode else seed + 1
    require_same_records(
        PROMISE,
        play(straight, actions[half:], next_seed),
        play(resumed, actions[half:], next_seed),
        "going on and going on from the saved state differ",
    )


def _through_a_file(env: gym.Env[Any, Any]) -> Any:
    file = io.BytesIO()
    try:
        torch.save(env.state_dict(), file)  # type: ignore[attr-defined]
        file.seek(0)
        return torch.load(file, weights_only=True)
    except Exception as error:  # pickle and torch raise many kinds
        require(
            False,
            PROMISE,
            "the state does not survive torch.save and torch.load(weights_only=True): "
            f"{type(error).__name__}: {error}. Use tensors and plain values only.",
        )
        raise
