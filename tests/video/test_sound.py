"""Pieces of sound on a track, against a slow copy sample by sample; and how channels are mixed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.video import Clip
from hxwrappers.video.sound import SoundTrack
from tests.video import samples

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


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize(
    ("layout", "channels", "loud"),
    [
        ("mono", {"FC": 0.5}, 0.5),
        ("stereo", {"FL": 0.5, "FR": 0.5}, 0.5),
        ("stereo", {"FL": 0.95, "FR": 0.95}, 0.95),
        ("stereo", {"FL": 0.5}, 0.25),
        ("5.1", dict.fromkeys(("FL", "FR", "FC", "LFE", "BL", "BR"), 0.9), 0.9),
        ("5.1", {"FC": 0.6}, 0.1),
    ],
)
def test_channels_are_averaged(tmp_path, layout, channels, loud, rate):
    path = samples.tone(tmp_path / "tone.mkv", channels, layout)
    sound = Clip(path, frames_per_second=10.0, sample_rate=rate).decode(tmp_path / "clip").sound
    assert len(sound) == rate // 2
    inside = sound[rate // 20 : -rate // 20]
    wave = np.sin(np.arange(rate // 2) * (2 * np.pi * 440 / rate))[rate // 20 : -rate // 20]
    np.testing.assert_allclose(inside, loud * wave, atol=0.01)
