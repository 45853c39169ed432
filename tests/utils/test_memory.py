"""Freed memory is kept, in a process of its own: the setting is for good."""

import platform
import subprocess
import sys

import pytest

from hxwrappers._utils import devices as memory

FAULTS = """
import resource
import numpy as np
from hxwrappers.runs import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(8_000_000)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
done = keep_freed_memory()
faults()
print(int(done), usual, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")
def test_large_arrays_cost_page_faults_once():
    run = subprocess.run(
        [sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True, timeout=120
    )
    done, usual, kept = map(int, run.stdout.split())
    assert done == 1
    assert kept < usual / 10


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    assert memory.keep_freed_memory() is False
