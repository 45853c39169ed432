"""Slow clients miss frames, never the present; pictures are exact."""

import io
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hxwrappers.recorder.stage import Frame, Outbox, encode_png


def test_the_latest_of_each_type_comes_first():
    outbox = Outbox()
    outbox.put_frame(Frame(b"{}", b"", b"picture"))
    for message in ({"type": "run", "n": 1}, {"type": "role"}, {"type": "run", "n": 2}):
        outbox.put(message)
    assert json.loads(outbox.take()) == {"type": "role"}
    assert json.loads(outbox.take()) == {"type": "run", "n": 2}
    assert outbox.take().endswith(b"picture")
    assert outbox.is_empty
    assert outbox.take() is None


def test_sound_is_kept_for_a_quarter_of_a_second():
    outbox = Outbox()
    for number in range(100):
        outbox.put_frame(Frame(b"{}", bytes([number]) * 512, b""))
    packet = outbox.take()
    assert int.from_bytes(packet[4:8], "little") == 8192
    assert packet[-1] == 99


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_pictures_of_few_colours(frame):
    assert np.array_equal(decoded(encode_png(frame)), frame)


def test_pictures_of_many_colours():
    frame = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    assert np.array_equal(decoded(encode_png(frame)), frame)


def decoded(png):
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))
