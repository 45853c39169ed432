"""The check that the Stable-Baselines3 form of a wrapper equals single ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from hxwrappers.testing.equivalence import INFO_KEYS
from hxwrappers.testing.trajectory import (
    EnvFactory,
    Wrap,
    close_to,
    require,
    require_endings,
    sample_actions,
)


def check_sb3_twin(
    wrap_single: Wrap,
    wrap_sb3: Callable[[VecEnv], VecEnv],
    make_env: EnvFactory,
    *,
    num_envs: int = 3,
    seed: int = 0,
    steps: int = 60,
    tolerance: float = 1e-6,
    info_keys: Sequence[str] = INFO_KEYS,
) -> None:
    """Check that a `VecEnv` wrapper equals single wrappers inside a `DummyVecEnv`.

    Both get the same seeds and actions; compared are the observations (`terminal_observation`
    too), rewards, dones, `TimeLimit.truncated` and some infos, where a missing one counts as 0.

    Args:
        wrap_single: Makes the wrapper around one environment. Wrappers that learn must share a
            frozen model with the vector form, or else they learn in another order.
        wrap_sb3: Makes the wrapper around a `VecEnv`.
        make_env: Makes one environment, with episodes much shorter than `steps`.
        num_envs: How many environments.
        seed: Given to `VecEnv.seed`, and for the actions.
        steps: How many steps to play.
        tolerance: Relative and absolute, for all numbers.
        info_keys: Which infos to compare.

    Raises:
        WrapperContractError: The two differ.
        InvalidArgumentError: No episode ended, so that nothing was shown about resets.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers import StickyActions
        >>> from hxwrappers.sb3 import VecStickyActions
        >>> check_sb3_twin(
        ...     StickyActions,
        ...     VecStickyActions,
        ...     lambda: gym.make("CartPole-v1"),
        ...     info_keys=("sticky_action",),
        ... )
    """
    singles = DummyVecEnv([lambda: wrap_single(make_env()) for _ in range(num_envs)])
    twin = wrap_sb3(DummyVecEnv([make_env] * num_envs))
    for venv in (singles, twin):
        venv.seed(seed)
    same = close_to(singles.reset(), twin.reset(), tolerance)
    require(same, "sb3_twin", "the first observations differ.")
    endings = 0
    sampled = sample_actions(singles.action_space, steps * num_envs, seed)
    for step in range(steps):
        actions = np.array(sampled[step * num_envs : (step + 1) * num_envs])
        expected, seen = singles.step(actions), twin.step(actions)
        names = ("observations", "rewards", "dones")
        pairs = [(name, expected[i], seen[i]) for i, name in enumerate(names)]
        pairs += [
            (f"infos {key!r}", _info(expected[3], key), _info(seen[3], key))
            for key in ("terminal_observation", "TimeLimit.truncated", *info_keys)
        ]
        for name, one, other in pairs:
            require(
                close_to(one, other, tolerance),
                "sb3_twin",
                f"{name} of step {step} differ: singles {one}, VecEnv {other}.",
            )
        endings += int(expected[2].sum())
    singles.close()
    twin.close()
    require_endings(endings, steps)


def _info(infos: list[dict[str, Any]], key: str) -> list[Any]:
    return [info.get(key, 0.0) for info in infos]
