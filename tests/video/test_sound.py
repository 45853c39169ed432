"""Pieces of sound on a track: gaps, overlaps and ends, against a slow copy sample by sample."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.video.sound import SoundTrack

PIECES = st.lists(st.tuples(st.integers(-20, 40), st.integers(0, 15)), max_size=8)


@given(PIECES, st.integers(0, 50))
def test_a_track_equals_writing_samples_one_by_one(pieces, samples):
    track, found = SoundTrack(samples), []
    expected, position = np.zeros(samples, np.float32), 0
    for number, (at, length) in enumerate(pieces, start=1):
        piece = np.full(length, number, np.float32)
        found += list(track.put(at, piece))
        for index in range(at, at + length):
            if position <= index < samples:
                expected[index] = number
        position = max(position, min(samples, at), min(samples, at + length))
    found += list(track.rest())
    np.testing.assert_array_equal(np.concatenate([*found, np.zeros(0, np.float32)]), expected)
    assert track.full
