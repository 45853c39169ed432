"""Promises of equivalence: a loaded wrapper goes on unchanged, a vector equals single ones."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hxwrappers.errors import HxWrappersError
from hxwrappers.testing.trajectory import (
    EnvFactory,
    Recorder,
    Wrap,
    close_to,
    play,
    replay,
    require,
    require_endings,
    require_same_records,
    sample_actions,
)


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
        "state_dict",
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
        require(False, "state_dict", f"the saved state cannot be loaded again ({error!r}).")
    next_seed = None if mid_episode else seed + 1
    require_same_records(
        "state_dict",
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
            "state_dict",
            "the state does not survive torch.save and torch.load(weights_only=True): "
            f"{type(error).__name__}: {error}. Use tensors and plain values only.",
        )
        raise


INFO_KEYS = ("extrinsic_reward", "intrinsic_reward", "reward_bonus")


def check_vector_twin(
    wrap_single: Wrap,
    wrap_vector: Callable[[VectorEnv], VectorEnv],
    make_env: EnvFactory,
    *,
    num_envs: int = 3,
    autoreset_modes: Sequence[AutoresetMode] = tuple(AutoresetMode),
    seed: int = 0,
    steps: int = 60,
    tolerance: float = 1e-6,
    info_keys: Sequence[str] = INFO_KEYS,
) -> None:
    """Check that a vector wrapper equals single wrappers inside a `SyncVectorEnv`.

    Both get the same seeds and actions; compared are the observations (those that end episodes
    too), rewards, terminations, truncations and some infos. An info that is missing counts as 0,
    so that the step that only resets (`AutoresetMode.NEXT_STEP`) must earn nothing.

    Args:
        wrap_single: Makes the wrapper around one environment. Wrappers that learn must share a
            frozen model with the vector form, or else they learn in another order.
        wrap_vector: Makes the vector wrapper around a vector environment.
        make_env: Makes one environment, with episodes much shorter than `steps`.
        num_envs: How many environments.
        autoreset_modes: The modes to check, all three by default.
        seed: Seeds the environments seed, seed + 1, ..., and the actions.
        steps: How many steps to play in each mode.
        tolerance: Relative and absolute, for all numbers.
        info_keys: Which infos to compare.

    Raises:
        WrapperContractError: The two differ.
        InvalidArgumentError: No episode ended, so that nothing was shown about resets.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers import StickyActions, vector
        >>> check_vector_twin(
        ...     StickyActions,
        ...     vector.StickyActions,
        ...     lambda: gym.make("CartPole-v1"),
        ...     info_keys=("sticky_action",),
        ... )
    """
    for mode in autoreset_modes:
        singles: VectorEnv = SyncVectorEnv(
            [lambda: wrap_single(make_env()) for _ in range(num_envs)], autoreset_mode=mode
        )
        twin = wrap_vector(SyncVectorEnv([make_env] * num_envs, autoreset_mode=mode))
        try:
            _compare(
                singles,
                twin,
                mode,
                seed=seed,
                steps=steps,
                tolerance=tolerance,
                info_keys=info_keys,
            )
        finally:
            singles.close()
            twin.close()


def _compare(
    singles: VectorEnv,
    twin: VectorEnv,
    mode: AutoresetMode,
    *,
    seed: int,
    steps: int,
    tolerance: float,
    info_keys: Sequence[str],
) -> None:
    where = f"with autoreset {mode.name}"
    for name in ("observation_space", "action_space", "num_envs"):
        one, other = getattr(singles, name), getattr(twin, name)
        require(
            one == other, "vector_twin", f"{where}: {name} is {one} for singles, {other} as vector."
        )
    one, other = singles.reset(seed=seed)[0], twin.reset(seed=seed)[0]
    require(
        close_to(one, other, tolerance), "vector_twin", f"{where}: the first observations differ."
    )
    endings = 0
    for step, actions in enumerate(sample_actions(singles.action_space, steps, seed)):
        expected, seen = singles.step(actions), twin.step(actions)
        names = ("observations", "rewards", "terminations", "truncations")
        pairs: list[tuple[str, Any, Any]] = [
            (name, expected[i], seen[i]) for i, name in enumerate(names)
        ]
        done = np.logical_or(expected[2], expected[3])
        if mode is AutoresetMode.SAME_STEP:
            pairs += [
                (f"final_obs of {lane}", _final_obs(expected[4], lane), _final_obs(seen[4], lane))
                for lane in np.flatnonzero(done)
            ]
        pairs += [
            (f"info {key!r}", _info(expected[4], key, done.size), _info(seen[4], key, done.size))
            for key in info_keys
        ]
        for name, one, other in pairs:
            require(
                close_to(one, other, tolerance),
                "vector_twin",
                f"{where}: {name} of step {step} differ: singles {one}, vector {other}.",
            )
        endings += int(done.sum())
        if mode is AutoresetMode.DISABLED and done.any():
            one, other = (
                envs.reset(options={"reset_mask": done.copy()})[0] for envs in (singles, twin)
            )
            same = close_to(one, other, tolerance)
            require(
                same, "vector_twin", f"{where}: observations differ after the reset in step {step}."
            )
    require_endings(endings, steps)


def _final_obs(infos: dict[str, Any], lane: Any) -> Any:
    final = infos.get("final_obs")
    return None if final is None else final[lane]


def _info(infos: dict[str, Any], key: str, num_envs: int) -> list[float]:
    """Return one info of the step by environment: of its end where the infos are of a reset."""
    sources = [infos.get("final_info", {}), infos]
    values = []
    for lane in range(num_envs):
        known = [
            source[key][lane]
            for source in sources
            if key in source and source.get(f"_{key}", np.ones(num_envs, dtype=np.bool_))[lane]
        ]
        values.append(float(known[0]) if known else 0.0)
    return values
