"""What hostile input may cost."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(*, memory: float, seconds: float) -> Iterator[None]:
    """Check that what is done takes less memory (in bytes) and processor time than that."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < seconds
