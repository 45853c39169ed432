"""Which transitions of a vector step are real, and where each of them led."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers.errors import AutoresetError

__all__ = ["autoreset_mode", "reached_observations"]


def autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    """The autoreset mode of a vector environment, from its metadata.

    Raises:
        AutoresetError: The metadata does not name a mode.
    """
    mode = env.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        raise AutoresetError(
            f"The vector environment says autoreset_mode={mode!r} in its metadata; expected one of "
            f"{[str(known.value) for known in AutoresetMode]}. Set "
            'env.metadata["autoreset_mode"] to the mode that it keeps.'
        ) from error


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
