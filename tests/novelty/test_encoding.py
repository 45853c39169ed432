"""Observations that are no single array: how they are encoded, and which part is scored."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.spaces.utils import flatten
from gymnasium.vector.utils import batch_space, iterate
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty import RNDModel
from hxwrappers.novelty.encoding import Encoding, batch_of_one, find_part

PICTURE = spaces.Box(0, 255, (64, 64, 3), np.uint8)
VIEW = spaces.Box(0, 255, (7, 7, 3), np.uint8)
VECTOR = spaces.Box(-1, 1, (3,), np.float32)
SPACES = {
    "discrete": spaces.Discrete(5),
    "discrete from 3": spaces.Discrete(5, start=3),
    "multi-discrete": spaces.MultiDiscrete([2, 3, 4]),
    "multi-discrete, table": spaces.MultiDiscrete([[2, 3], [4, 5]]),
    "multi-binary": spaces.MultiBinary((2, 2)),
    "tuple": spaces.Tuple([spaces.Discrete(4), VECTOR, spaces.MultiBinary(2)]),
    "nested": spaces.Dict(arm=spaces.Dict(a=spaces.Discrete(2), b=VECTOR), c=spaces.Discrete(3)),
}


@pytest.mark.parametrize("name", SPACES)
def test_it_is_what_gymnasium_makes_of_one_observation(name):
    space = SPACES[name]
    space.seed(0)
    encoding = Encoding.of(space)
    batch = batch_space(space, 6).sample()
    expected = np.stack([flatten(space, one) for one in iterate(batch_space(space, 6), batch)])
    encoded = encoding.encode(batch)
    np.testing.assert_array_equal(encoded, expected)
    assert all(row in encoding.box for row in encoded)
    assert encoding.encode(encoded) is encoded
    one = space.sample()
    np.testing.assert_array_equal(encoding.encode(batch_of_one(one))[0], flatten(space, one))


@given(st.integers(2, 40), st.integers(-5, 5), st.data())
def test_discrete_values_are_told_apart(number, start, data):
    encoding = Encoding.of(spaces.Discrete(number, start=start))
    values = data.draw(st.lists(st.integers(start, start + number - 1), min_size=1, max_size=9))
    vectors = encoding.encode(np.array(values))
    assert len(np.unique(vectors, axis=0)) == len(set(values))


@pytest.mark.parametrize("value", [-1, 5])
def test_values_that_the_space_does_not_have_are_refused(value):
    with pytest.raises(InvalidArgumentError, match="does not have"):
        Encoding.of(spaces.Discrete(5)).encode(np.array([value]))


def test_tensors_stay_tensors():
    space = spaces.Dict(a=spaces.Discrete(3), b=VECTOR)
    batch = {"a": torch.tensor([0, 2]), "b": torch.zeros(2, 3)}
    encoded = Encoding.of(space).encode(batch)
    assert encoded.tolist() == [[1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize("name", SPACES)
def test_a_model_alone_takes_them(name):
    space = SPACES[name]
    model = RNDModel(space, features=4, hidden=4, warmup_steps=0, seed=0)
    streams = model.open_streams(6)
    batch = batch_space(
        space,
        6,
    ).sample()
    assert model.score(batch).shape == model.observe(batch, streams).shape == (6,)


GOALS = spaces.Dict(observation=VECTOR, achieved_goal=VECTOR, desired_goal=VECTOR)
BITS = spaces.MultiBinary(4)


@pytest.mark.parametrize(
    ("space", "key", "path"),
    [
        (VECTOR, None, ()),
        (spaces.Discrete(4), None, ()),
        (spaces.Dict(a=VECTOR, b=VECTOR), None, ()),
        (spaces.Dict(a=VECTOR, b=VECTOR), "b", ("b",)),
        (spaces.Dict(a=spaces.Discrete(2)), "a", ("a",)),
        (
            spaces.Dict(image=VIEW, direction=spaces.Discrete(4), mission=spaces.Text(9)),
            None,
            ("image",),
        ),
        (spaces.Dict(camera=spaces.Dict(left=PICTURE), arm=VECTOR), None, ("camera", "left")),
        (
            spaces.Dict(camera=spaces.Dict(left=PICTURE, right=PICTURE)),
            "camera/right",
            ("camera", "right"),
        ),
        (spaces.Dict({"a/b": VECTOR, "c": VECTOR}), "a/b", ("a/b",)),
        (GOALS, None, ("observation",)),
        (GOALS, "desired_goal", ("desired_goal",)),
        (
            spaces.Dict(observation=BITS, achieved_goal=BITS, desired_goal=BITS),
            None,
            ("observation",),
        ),
    ],
)
def test_which_part_is_scored(space, key, path):
    assert find_part(space, key) == path


@pytest.mark.parametrize(
    ("space", "key", "match"),
    [
        (spaces.Dict(left=PICTURE, right=PICTURE), None, "left, right"),
        (spaces.Dict(a=VECTOR, b=VECTOR), "c", "one of a, b"),
        (spaces.Dict(a=VECTOR), "a/b", "not a Dict"),
        (spaces.Dict(a=VECTOR), "", "empty"),
        (VECTOR, "a", "not a Dict"),
    ],
)
def test_parts_that_cannot_be_found(space, key, match):
    with pytest.raises(InvalidArgumentError, match=match):
        find_part(space, key)
