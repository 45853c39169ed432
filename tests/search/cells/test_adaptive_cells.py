"""Which sizes of frame cells are chosen."""

import zlib

import numpy as np
import pytest

from hxwrappers.errors import DemoError
from hxwrappers.search.cells.adaptive_cells import AdaptiveFrameCells, FrameSize, choose_size


def pictures(places, noise=0):
    """A bright square of 8 pixels at each of the places on a dark ground."""
    generator = np.random.default_rng(0)
    for x, y in places:
        frame = np.full((84, 84), 20, np.uint8)
        frame[y : y + 8, x : x + 8] = 200
        frame = frame + generator.integers(0, noise + 1, frame.shape, np.uint8)
        yield zlib.compress(frame.tobytes())


def test_about_an_eighth_of_the_sample_is_told_apart():
    places = np.random.default_rng(1).integers(0, 76, (200, 2))
    for noise in (0, 8):
        sample = list(pictures(places, noise))
        cells = AdaptiveFrameCells(choose_size(sample, np.random.default_rng(2)))
        assert 10 <= len({cells.of(picture) for picture in sample}) <= 60


def test_the_same_picture_again_and_again_has_a_size_too():
    sample = list(pictures([(5, 5)] * 20))
    assert choose_size(sample, np.random.default_rng(0))


def test_damaged_pictures():
    cells = AdaptiveFrameCells(FrameSize(4, 4, 4))
    for damaged in (b"", b"no picture", zlib.compress(b"short")):
        with pytest.raises(DemoError, match="damaged"):
            cells.of(damaged)
