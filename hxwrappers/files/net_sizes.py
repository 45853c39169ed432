"""A limit for networks made from files: no more parameters than stored weights."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from hxwrappers.errors import CheckpointError

_FEW = 1 << 16
"""Parameters that a net may have beyond the weights, so that weights that are missing get their own
error."""


@contextmanager
def limit_parameters(weights: object) -> Iterator[None]:
    """Refuse to make nets with more parameters than there are weights for.

    What making them draws is not taken from the caller's generator: the weights come from the file.
    A file of a few bytes can ask for a layer that takes all the memory. Parameters are counted as
    modules get them, before any of their memory is written to.

    Args:
        weights: Tensors, in dicts, lists and tuples; what else is among them does not count.

    Raises:
        CheckpointError: There are more parameters; the net is not made.

    Example:
        >>> with limit_parameters([torch.zeros(64, 64)]):
        ...     net = nn.Linear(10**6, 10**3)
        Traceback (most recent call last):
        ...
        hxwrappers.errors.CheckpointError: The file asks for nets that its weights are too few for.
    """
    left = _count(weights) + _FEW
    here = threading.get_ident()

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        if parameter is not None and threading.get_ident() == here:
            left -= parameter.numel()
            if left < 0:
                raise CheckpointError("The file asks for nets that its weights are too few for.")

    handle = nn.modules.module.register_module_parameter_registration_hook(count)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        handle.remove()


def _count(weights: Any) -> int:
    if isinstance(weights, torch.Tensor):
        return weights.numel()
    if isinstance(weights, Mapping):
        return sum(map(_count, weights.values()))
    if isinstance(weights, list | tuple):
        return sum(map(_count, weights))
    return 0
