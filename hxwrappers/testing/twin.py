"""The promise that the vector form of a wrapper equals single ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hxwrappers.testing.trajectory import (
    EnvFactory,
    Wrap,
    close_to,
    require,
    require_endings,
    sample_actions,
)

PROMISE = "vector_twin"
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
        require(one == other, PROMISE, f"{where}: {name} is {one} for singles, {other} as vector.")
    one, other = singles.reset(seed=seed)[0], twin.reset(seed=seed)[0]
    require(close_to(one, other, tolerance), PROMISE, f"{where}: the first observations differ.")
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
                PROMISE,
                f"{where}: {name} of step {step} differ: singles {one}, vector {other}.",
            )
        endings += int(done.sum())
        if mode is AutoresetMode.DISABLED and done.any():
            one, other = (
                envs.reset(options={"reset_mask": done.copy()})[0] for envs in (singles, twin)
            )
            same = close_to(one, other, tolerance)
            require(same, PROMISE, f"{where}: observations differ after the reset in step {step}.")
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
