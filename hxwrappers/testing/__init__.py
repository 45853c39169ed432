"""The wrapper contract as functions for pytest, for this library's wrappers and for your own.

Each check raises `hxwrappers.errors.WrapperContractError` that names the broken promise. The check
for Stable-Baselines3 forms is `hxwrappers.sb3.testing.check_sb3_twin`.

Example:
    >>> import gymnasium as gym
    >>> from hxwrappers import StickyActions, vector
    >>> def make_env():
    ...     return gym.make("CartPole-v1")
    >>> check_wrapper(
    ...     StickyActions,
    ...     make_env=make_env,
    ...     wrap_vector=vector.StickyActions,
    ...     preserves_actions=False,
    ...     skip=("workers",),
    ... )
"""

from hxwrappers.testing.contract import PROMISES, check_wrapper
from hxwrappers.testing.equivalence import check_state_dict, check_vector_twin

__all__ = [
    "PROMISES",
    "check_state_dict",
    "check_vector_twin",
    "check_wrapper",
]
