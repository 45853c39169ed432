"""Where the steps of a vector environment led."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hxwrappers.errors import AutoresetError

__all__ = ["reached_observations", "reached_tensors"]


def reached_observations(
    observations: np.ndarray,
    over: np.ndarray,
    infos: dict[str, Any],
    read: Callable[[Any], np.ndarray],
) -> np.ndarray:
    """The observations that the steps led to, in SAME_STEP mode.

    Args:
        observations: What is looked at of what `step` returned, shape `(num_envs, ...)`.
        over: Which episodes ended in this step, shape `(num_envs,)`.
        infos: What `step` returned.
        read: What is looked at of one observation.

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
        reached[index] = read(final)
    return reached


def reached_tensors(
    observations: Tensor, over: Tensor, infos: dict[str, Any], read: Callable[[Any], Tensor]
) -> Tensor:
    """The same of an environment that holds tensors, whose final observations are a batch.

    Args:
        observations: What is looked at of what `step` returned, shape `(num_envs, ...)`.
        over: Which episodes ended in this step, shape `(num_envs,)`.
        infos: What `step` returned; ManiSkill says `final_observation`.
        read: What is looked at of a batch of observations.

    Raises:
        AutoresetError: An episode ended and there are no final observations.
    """
    if not bool(over.any()):
        return observations
    finals = infos.get("final_obs", infos.get("final_observation"))
    if finals is None:
        raise AutoresetError(
            'Episodes ended, but there are no final observations in infos["final_obs"], as the '
            "autoreset mode SAME_STEP demands: a tensor for all environments."
        )
    ended = over.reshape(-1, *[1] * (observations.ndim - 1))
    return torch.where(ended, read(finals), observations)
