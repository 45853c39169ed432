"""The policy that actors and evaluations share."""

import gc

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.actor import NetPolicy, hardware_precision
from hxwrappers.impala.layout import Layout
from hxwrappers.impala.net import ImpalaNet, Trunk


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


IMAGE = spaces.Box(0, 255, (1, 36, 36), np.uint8)
WITH_VECTOR = spaces.Dict(image=IMAGE, progress=spaces.Box(0, 1, (2,)), room=spaces.Discrete(3))


@pytest.mark.parametrize("space", [IMAGE, WITH_VECTOR, spaces.Box(0, 1, (7, 7, 3))])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("faster", ["float32", "bfloat16"])
def test_the_faster_precision_is_taken(space, training, faster, monkeypatch):
    """The time is played: each pass in the slower precision takes a second more."""
    monkeypatch.setattr("hxwrappers._utils.devices._known", {})
    slept = 0.0
    forward = Trunk.forward

    def slow(self, observations):
        nonlocal slept
        slept += self.in_bfloat16 != (faster == "bfloat16")
        return forward(self, observations)

    monkeypatch.setattr(Trunk, "forward", slow)
    monkeypatch.setattr("time.perf_counter", lambda: slept + 1e-3)
    trunk, cpu = Trunk(Layout.of(space)), torch.device("cpu")
    assert hardware_precision("auto", cpu, trunk, rows=4, training=training) == faster
    assert slept
    assert not trunk.in_bfloat16


def test_precisions_that_need_no_timing(monkeypatch):
    monkeypatch.setattr("hxwrappers.impala.actor.is_bfloat16_faster", None)
    vectors, cpu = Trunk(Layout.of(spaces.Box(0, 1, (3,)))), torch.device("cpu")
    assert hardware_precision("auto", cpu, vectors) == "float32"
    assert hardware_precision("bfloat16", cpu, vectors) == "bfloat16"
    assert hardware_precision("auto", torch.device("meta")) == "float32"
