"""Memory that processes share: nothing overlaps, and no reader sees half-written weights."""

import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.layout import Layout
from hxwrappers.impala.unrolls import (
    BEING_WRITTEN,
    Field,
    SharedArrays,
    SharedWeights,
    Unroll,
    UnrollShape,
    copy_weights,
    flat_weights,
)

CONTEXT = multiprocessing.get_context("spawn")
SPACE = spaces.Dict(
    image=spaces.Box(0, 255, (1, 5, 7), np.uint8), progress=spaces.Box(0, 1, (3,), np.float32)
)


def test_arrays_do_not_overlap():
    shape = UnrollShape(Layout.of(SPACE), length=3, num_envs=2, lstm=4, actions=NumberedActions(3))
    shared = SharedArrays(shape.fields(), CONTEXT, copies=3)
    arrays = [shared.arrays(copy) for copy in range(3)]
    for copy, named in enumerate(arrays):
        for number, array in enumerate(named.values()):
            assert not array.any()
            array[...] = (copy * 20 + number) % (2 if array.dtype == bool else 100)
    for copy in range(3):
        for number, array in enumerate(shared.arrays(copy).values()):
            assert (array == (copy * 20 + number) % (2 if array.dtype == bool else 100)).all()


def test_an_unroll_knows_its_arrays():
    shape = UnrollShape(Layout.of(SPACE), length=3, num_envs=2, lstm=0, actions=NumberedActions(3))
    unroll = shape.allocate()
    assert unroll.observations["image"].shape == (4, 2, 1, 5, 7)
    assert unroll.observations["image"].dtype == np.uint8
    assert unroll.state.shape == (2, 2, 0)
    again = Unroll.of(unroll.arrays())
    assert all(
        one is other
        for one, other in zip(again.arrays().values(), unroll.arrays().values(), strict=True)
    )


def test_shared_memory_has_no_name():
    before = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()
    shared = SharedArrays([Field("a", (1000, 1000), "float32")], CONTEXT)
    shared.arrays()["a"][:] = 1
    after = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()
    assert not {path for path in after - before if "pym" in path.name}


def test_weights_are_never_half_written():
    size, last = 200_000, 300
    shared = SharedWeights(size, CONTEXT)
    shared.publish(torch.zeros(size), 0)

    def write() -> None:
        for version in range(1, last + 1):
            shared.publish(torch.full((size,), float(version)), version)

    writer = threading.Thread(target=write)
    writer.start()
    into, seen = torch.empty(size), [0]
    while seen[-1] < last:
        version = shared.read(into)
        assert (into == version).all()
        assert version >= seen[-1]
        seen.append(version)
    writer.join()


def test_a_writer_that_never_ends_is_reported():
    shared = SharedWeights(3, CONTEXT)
    shared.publish(torch.zeros(3), 0)
    shared._shared.arrays()["versions"][:2] = BEING_WRITTEN
    with pytest.raises(TimeoutError, match="weights"):
        shared.read(torch.empty(3))


def test_weights_go_into_nets_of_lower_precision():
    one, other = nn.Linear(3, 2), nn.Linear(3, 2).to(torch.bfloat16)
    copy_weights(flat_weights(one), other)
    torch.testing.assert_close(other.weight.float(), one.weight, atol=0.01, rtol=0.01)
