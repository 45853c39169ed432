"""What a file asks for costs no more than its weights."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from hxwrappers.errors import CheckpointError
from hxwrappers.files.net_sizes import limit_parameters
from tests.limits import at_most

WEIGHTS = {"policy": [torch.zeros(100, 100), {"bias": torch.zeros(7)}], "steps": 3, "none": None}
FEW = 1 << 16


def test_what_the_weights_are_for_is_made():
    with limit_parameters(WEIGHTS):
        layer = nn.Linear(100, 100)
    assert layer.weight.shape == (100, 100)


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_bound_is_met_exactly(beyond):
    with limit_parameters(WEIGHTS):
        nn.ParameterList([torch.zeros(10_007 + FEW)])
        if beyond:
            with pytest.raises(CheckpointError, match="too few"):
                nn.ParameterList([torch.zeros(1)])


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [(nn.Linear, (10**5, 10**4)), (nn.LSTM, (2000, 2000, 10**6)), (nn.Conv2d, (9999, 9999, 3))],
)
def test_larger_nets_are_not_filled(kind, sizes):
    with at_most(memory=1e6, seconds=2), limit_parameters(WEIGHTS), pytest.raises(CheckpointError):
        kind(*sizes)


def test_an_error_ends_the_counting_and_other_threads_are_not_counted():
    with pytest.raises(ZeroDivisionError), limit_parameters([]):
        raise ZeroDivisionError
    nn.Linear(300, 300)
    with limit_parameters([]), ThreadPoolExecutor(1) as other:
        other.submit(nn.Linear, 300, 300).result()


def test_the_callers_generator_is_left_alone():
    before = torch.get_rng_state()
    with limit_parameters(WEIGHTS):
        nn.Linear(2, 2)
    assert torch.equal(torch.get_rng_state(), before)
