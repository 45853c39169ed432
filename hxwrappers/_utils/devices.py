"""Devices for networks, their generators, and the memory that a CPU run keeps."""

from __future__ import annotations

import ctypes
import platform
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

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
def seeded_weights(seed: int) -> Iterator[None]:
    """Within it networks are made on the CPU, with weights that a seed decides.

    The global generators are left alone: `torch.manual_seed` would also seed those of the GPUs,
    from which agents draw their actions.

    Example:
        >>> with seeded_weights(7):
        ...     first = torch.nn.Linear(2, 2)
        >>> with seeded_weights(7):
        ...     second = torch.nn.Linear(2, 2)
        >>> torch.equal(first.weight, second.weight)
        True
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield


# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD = 64 * 2**20


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, which makes training on a CPU faster.

    PyTorch allocates the result of every operation on a CPU anew. Large blocks, and the top of
    the heap, go back to the system as soon as they are freed, and the system fills each page with
    zeros before it hands it out again: a fifth to a quarter of the processor time of PPO.
    With this call glibc reuses them. The process stays as large as it once was, and somewhat
    larger than it would have been.

    Call it once, at the beginning of a training script, as `hxw train` and the examples do. It
    holds for the whole process and its forks, so a library should leave it to scripts. What was
    measured: docs/benchmarks.md.

    Returns:
        Whether it was done. Only glibc (Linux) can; elsewhere nothing happens.

    Example:
        >>> keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
        True
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, _TOP_PAD))
    done = [mallopt(name, value) for name, value in settings]
    return all(done)
