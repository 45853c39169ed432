"""Networks on a device: the precision that is timed, and freed memory that is kept."""

import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from hxwrappers._utils import devices
from hxwrappers._utils.devices import TimedPrecision, is_bfloat16_faster
from hxwrappers.errors import InvalidArgumentError


class Pretender(nn.Module):
    """A layer that is slow in one precision, or wrong in bfloat16."""

    def __init__(self, slow: torch.dtype, error: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.slow, self.error = slow, error

    def forward(self, inputs):
        outputs = self.layer(inputs)
        if outputs.dtype is self.slow:
            for _ in range(2000):  # for longer than other programs interrupt it
                outputs = outputs + 0
        return outputs * (1 + self.error) if outputs.dtype is torch.bfloat16 else outputs


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(devices, "_known", {})


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("slow", "error", "expected"),
    [
        (torch.float32, 0.0, True),  # faster and right
        (torch.float32, 0.5, False),  # faster and wrong
        (torch.float32, float("nan"), False),
        (torch.bfloat16, 0.0, False),  # slower
    ],
)
def test_the_faster_that_agrees(slow, error, expected, training):
    network = Pretender(slow, error)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert is_bfloat16_faster(network, torch.randn(32, 8), training=training) is expected
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_training_and_looking_are_timed_apart_and_the_choice_is_kept(monkeypatch):
    asked = []

    def answer(_network, _inputs, *, training):
        asked.append(training)
        return training

    monkeypatch.setattr(devices, "is_bfloat16_faster", answer)
    network, inputs = nn.Linear(3, 2), torch.ones(4, 3)
    timed = TimedPrecision("auto")
    assert timed.run(network, inputs).grad_fn is not None
    with torch.inference_mode():
        timed.run(network, inputs)
        timed.run(network, inputs)
    assert asked == [True, False]
    assert timed.choice.tolist() == [1, 2]
    resumed = TimedPrecision("auto")
    resumed.load_state_dict(timed.state_dict())
    resumed.run(network, inputs)
    assert asked == [True, False]
    assert resumed.choice.tolist() == [1, 2]


def test_no_such_precision():
    with pytest.raises(InvalidArgumentError, match="float16"):
        TimedPrecision("float16")


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
    monkeypatch.setattr(devices.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(devices.ctypes, "CDLL", None)
    assert devices.keep_freed_memory() is False
