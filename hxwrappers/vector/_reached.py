"""Where the steps of a vector environment led."""

from __future__ import annotations

from typing import Any

import numpy as np

from hxwrappers.errors import AutoresetError

__all__ = ["reached_observations"]


def reached_observations(
    observations: np.ndarray, over: np.ndarray, infos: dict[str, Any], key: str | None
) -> np.ndarray:
    """The observations that the steps led to, in SAME_STEP mode.

    Args:
        observations: What `step` returned (that part of it under `key`), shape `(num_envs, ...)`.
        over: Which episodes ended in this step, shape `(num_envs,)`.
        infos: What `step` returned.
        key: Part of a Dict observation, or None.

    Returns:
        The observations, with the final one in place of the one after the reset. A new array
        where any episode ended.

    Raises:
        AutoresetError: An episode ended and its final observation is missing.
    """
    if not over.any():
        return observations
    finals = infos.get("final_obs")
    reached = observations.copy()
    for index in np.flatnonzero(over):
        final = None if finals is None else finals[index]
        if final is None:
            raise AutoresetError(
                f"The episode of environment {index} ended, but there is no final observation of "
                'it in infos["final_obs"], as the autoreset mode SAME_STEP demands.'
            )
        reached[index] = final if key is None else final[key]
    return reached
