"""Spaces as plain data."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files.checkpoints import is_plain
from hxwrappers.sb3.space_data import read_space, space_data


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 255, (4, 84, 84), np.uint8),
        spaces.Box(-np.inf, np.inf, (3,), np.float32),
        spaces.Box(np.array([-1.5, 0]), np.array([2, np.inf]), dtype=np.float64),
        spaces.Discrete(3),
        spaces.Discrete(3, start=-1),
        spaces.MultiDiscrete([3, 5]),
        spaces.MultiDiscrete([3, 5], start=[1, -2]),
        spaces.MultiDiscrete([3, 5], dtype=np.int32),
        spaces.MultiBinary(4),
        spaces.Dict(image=spaces.Box(0, 1, (2, 2)), more=spaces.Dict(key=spaces.Discrete(2))),
    ],
)
def test_round_trip(space):
    data = space_data(space)
    assert is_plain(data)
    assert read_space(data) == space


def test_images_take_no_room():
    data = space_data(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    assert (data["low"], data["high"]) == (0, 255)


def test_other_spaces_are_refused():
    with pytest.raises(InvalidArgumentError, match="Text"):
        space_data(spaces.Text(4))


BOX = {"space": "Box", "shape": [2], "dtype": "float32", "low": 0.0, "high": 1.0}
NESTED = {"space": "Dict", "spaces": {"a": {"space": "Discrete", "n": 2, "start": 0}}}
for _ in range(9):
    NESTED = {"space": "Dict", "spaces": {"a": NESTED}}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"space": "Function"},
        {**BOX, "shape": [1 << 13, 1 << 13]},
        {**BOX, "shape": [-2]},
        {**BOX, "shape": ["2"]},
        {**BOX, "dtype": "object"},
        {**BOX, "dtype": "no such"},
        {**BOX, "low": "0"},
        {**BOX, "low": 2.0},
        {**BOX, "low": torch.zeros(3)},
        {"space": "Discrete", "n": 0, "start": 0},
        {"space": "Discrete", "n": 1 << 40, "start": 0},
        {"space": "MultiDiscrete", "nvec": [3, -1]},
        {"space": "MultiDiscrete", "nvec": [3, 5], "start": ["a"]},
        NESTED,
    ],
)
def test_data_that_is_refused(data):
    with pytest.raises(CheckpointError, match="no space"):
        read_space(data)
