"""Frozen states as bytes."""

import collections
import enum
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots.capture import (
    EnumState,
    GeneratorState,
    ObjectState,
    Unchanged,
    apply,
    capture,
)
from hxwrappers.snapshots.codec import decode, encode

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.lists(inner, max_size=3).map(lambda items: collections.deque(items, 4))
    ),
    max_leaves=12,
)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Counter:
    def __init__(self):
        self.count = 0
        self.generator = np.random.default_rng(0)
        self.colour = Colour.RED
        self.callback = print


@given(plain)
def test_round_trip(tree):
    decoded = decode(encode(tree))
    assert decoded == tree
    assert type(decoded) is type(tree)
    assert encode(decoded) == encode(tree)


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int64, np.float32, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays_round_trip(array):
    decoded = decode(encode([array]))[0]
    assert decoded.dtype == array.dtype
    assert decoded.shape == array.shape
    assert decoded.tobytes() == array.tobytes()


@given(plain, st.data())
def test_damage_is_refused_or_read_as_something_else(tree, data):
    encoded = encode(tree)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(SnapshotError):
        decode(encoded[:cut])
    with pytest.raises(SnapshotError, match="too many"):
        decode(encoded + b"N")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"l" + struct.pack("<I", 2**32 - 1), "more items than"),
        (b"b" + struct.pack("<I", 2**31), "too early"),
        (b"?", "unknown tag"),
        (b"l\x01\0\0\0" * 64 + b"N", "nested"),
        (b"s\x01\0\0\0\xff", "UTF-8"),
        (b"d\x01\0\0\0N", "malformed"),
        (b"q\x01\0\0\0T", "malformed"),
        (b"o\x02\0\0\0NN", "malformed"),
        (b"a\x02\0\0\0|O" + bytes(8), "dtype"),
        (b"a\x03\0\0\0<f8\x01\0\0\0\xff\xff\xff\x7f\x00\0\0\0", "shape and size"),
        (b"a\x03\0\0\0<f8\xff\xff\xff\x7f", "dimensions"),
        (b"S\x01\0\0\0l\0\0\0\0", "malformed"),
    ],
)
def test_hostile_bytes(data, message):
    with pytest.raises(SnapshotError, match=message):
        decode(data)


@pytest.mark.parametrize("value", [object(), print, np.array([None]), 1j])
def test_what_cannot_be_written_is_refused(value):
    with pytest.raises(SnapshotError, match="cannot be written"):
        encode([value])


def test_objects_are_changed_in_place():
    counter = Counter()
    generator = counter.generator
    state = decode(encode(capture(counter)))
    first = counter.generator.random()
    counter.count, counter.colour = 7, Colour.BLUE
    assert apply(counter, state) is counter
    assert (counter.count, counter.colour, counter.callback) == (0, Colour.RED, print)
    assert counter.generator is generator
    assert counter.generator.random() == first


def test_what_was_captured_is_independent():
    frames = collections.deque([np.zeros(2)], 4)
    state = capture({"frames": frames})
    frames[0][:] = 1
    restored = apply({"frames": frames}, state)
    assert restored["frames"][0].tolist() == [0, 0]
    assert restored["frames"].maxlen == 4
    restored["frames"][0][:] = 2
    assert apply({}, state)["frames"][0].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("live", "state"),
    [
        (None, ObjectState("os:system", {})),
        (Counter(), ObjectState("os:system", {})),
        (print, ObjectState("builtins:builtin_function_or_method", {})),
        (3, EnumState("enum:Enum", "RED")),
        ("text", GeneratorState({"bit_generator": "PCG64"})),
        (None, GeneratorState({"bit_generator": "os"})),
        (np.random.default_rng(), GeneratorState({"bit_generator": "PCG64", "state": 3})),
    ],
)
def test_a_state_brings_no_objects(live, state):
    if isinstance(state, ObjectState) and callable(live):
        state = ObjectState(state.kind, {"x": 1})
    with pytest.raises((SnapshotError, TypeError)):
        apply(live, state)


def test_cycles_and_foreign_objects_are_left_alone():
    loop: list[object] = [1]
    loop.append(loop)
    assert capture(loop) == [1, Unchanged()]
    assert capture(np) == Unchanged()
