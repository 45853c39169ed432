"""The learner's weights in memory that the actors read while it writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from hxwrappers.impala.unrolls import Field, SharedArrays

__all__ = ["SharedWeights", "copy_weights", "flat_weights"]

BEING_WRITTEN = -1
ATTEMPTS = 1000


def flat_weights(net: nn.Module) -> Tensor:
    """All parameters of a net in one float32 vector on the CPU."""
    return parameters_to_vector(net.parameters()).detach().to("cpu", torch.float32)


@torch.no_grad()
def copy_weights(vector: Tensor, net: nn.Module) -> None:
    """Copy a vector from `flat_weights` into a net, whose parameters may have other dtypes.

    Example:
        >>> one, other = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> copy_weights(flat_weights(one), other)
        >>> bool((one.weight == other.weight).all())
        True
    """
    parameters = list(net.parameters())
    parts = torch.split(vector, [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.copy_(part.view_as(parameter))


class SharedWeights:
    """Two copies of the weights, of which one is complete at any time.

    The learner writes into the older copy and then points at it. A reader that is overtaken while
    it copies notices by the version and begins again; nobody waits for anybody.

    Args:
        size: Number of parameters.
        context: The `multiprocessing` context that starts the actors.
    """

    def __init__(self, size: int, context: Any) -> None:
        fields = [Field("weights", (2, size), "float32"), Field("versions", (3,), "int64")]
        self._shared = SharedArrays(fields, context)

    def publish(self, weights: Tensor, version: int) -> None:
        """Show new weights to the actors.

        Args:
            weights: From `flat_weights`.
            version: Greater than any before, 0 or more.
        """
        arrays = self._shared.arrays()
        versions = arrays["versions"]
        older = 1 - int(versions[2])
        versions[older] = BEING_WRITTEN
        np.copyto(arrays["weights"][older], weights.numpy())
        versions[older] = version
        versions[2] = older

    def read(self, into: Tensor) -> int:
        """Copy the newest weights into a vector and return their version.

        Raises:
            TimeoutError: The learner overtook this process again and again.
        """
        arrays = self._shared.arrays()
        versions, target = arrays["versions"], into.numpy()
        for _ in range(ATTEMPTS):
            newest = int(versions[2])
            version = int(versions[newest])
            np.copyto(target, arrays["weights"][newest])
            if version != BEING_WRITTEN and version == versions[newest]:
                return version
        raise TimeoutError(f"The weights changed under all of {ATTEMPTS} attempts to copy them.")
