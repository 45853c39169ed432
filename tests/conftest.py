"""Settings for all tests."""

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

# Two test processes on two cores: more threads than that only get in each other's way. Said before
# torch is imported, since it counts for the processes that tests start, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import settings

torch.set_num_threads(1)

# OpenCV's threads are not there in a forked child either.
with suppress(ImportError):
    import cv2

    cv2.setNumThreads(0)

# PyAV's scalers have threads. A forked child that frees one, left over from another test, waits for
# threads which it does not have.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gc.collect)

# Run by a Python that has atheris; see tests/fuzz/__main__.py.
collect_ignore = ["fuzz/guided.py"]

settings.register_profile("default", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    """Networks begin alike in every run of a test, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of several nodes on this machine; it takes some ten seconds to start."""
    pytest.importorskip("ray")
    from tests.clusters import local_cluster  # noqa: PLC0415 - an optional extra

    with local_cluster() as cluster:
        yield cluster
