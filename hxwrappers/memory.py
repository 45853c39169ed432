"""Training on a CPU without a page fault for every tensor."""

from __future__ import annotations

import ctypes
import platform

__all__ = ["keep_freed_memory"]

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
