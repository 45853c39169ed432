"""The policy that actors and evaluations share."""

import gc

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.impala.acting import NetPolicy
from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.layout import Layout
from hxwrappers.impala.net import ImpalaNet


def tensors():
    gc.collect()
    return sum(type(thing) is torch.Tensor for thing in gc.get_objects())


@pytest.mark.parametrize("lstm", [5, pytest.param(0, marks=pytest.mark.slow)])
def test_nothing_is_kept_of_earlier_steps(lstm):
    net = ImpalaNet(Layout.of(spaces.Box(-1, 1, (3,))), NumberedActions(2), net="mlp", lstm=lstm)
    policy = NetPolicy(net)
    parts, starts = {"observation": np.zeros((4, 3))}, np.zeros(4, dtype=bool)
    state = policy.initial_state(4)
    counts = []
    for _ in range(3):
        for _ in range(10):
            state = policy.act(parts, starts, state)[2]
        assert state.shape == (2, 4, lstm)
        counts.append(tensors())
    assert counts[1] == counts[2]
