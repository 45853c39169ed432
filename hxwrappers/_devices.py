"""Where to compute."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["resolve_device", "restore_generator", "weights_drawn_from"]

_STATE_BYTES = (5056, 16)  # of a generator's state on a CPU and on a GPU


def resolve_device(device: str | torch.device) -> torch.device:
    """A device by its name; `"auto"` is the GPU where there is one.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Let a generator go on from a state, on whatever kind of device that was saved.

    Those of CPUs and GPUs cannot go on from each other's; then the state is what it is seeded by.

    Args:
        generator: The generator.
        state: What `get_state` of one gave.

    Raises:
        RuntimeError: The state is no generator's.

    Example:
        >>> first, second = torch.Generator(), torch.Generator()
        >>> restore_generator(second, first.get_state())
        >>> torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))
        True
    """
    state = state.cpu()
    if len(state) in _STATE_BYTES and len(state) != len(generator.get_state()):
        generator.manual_seed(zlib.crc32(state.numpy().tobytes()))
    else:
        generator.set_state(state)


@contextmanager
def weights_drawn_from(seed: int) -> Iterator[None]:
    """Within it networks are made on the CPU, with weights that a seed decides.

    The global generators are left alone: `torch.manual_seed` would also seed those of the GPUs,
    from which agents draw their actions.

    Example:
        >>> with weights_drawn_from(7):
        ...     first = torch.nn.Linear(2, 2)
        >>> with weights_drawn_from(7):
        ...     second = torch.nn.Linear(2, 2)
        >>> torch.equal(first.weight, second.weight)
        True
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield
