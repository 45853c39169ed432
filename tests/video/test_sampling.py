"""Pairs are drawn as published, whatever the lengths and the intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.video.sampling import (
    PUBLISHED_INTERVALS,
    SoundSampler,
    TemporalSampler,
    check_intervals,
)


@st.composite
def rising_intervals(draw):
    edges = sorted(draw(st.sets(st.integers(0, 60), min_size=4, max_size=10)))
    edges = edges[: len(edges) // 2 * 2]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


@given(
    intervals=rising_intervals(),
    lengths=st.lists(st.integers(61, 200), min_size=1, max_size=4),
    seed=st.integers(0, 9),
)
def test_pairs_lie_in_their_videos_and_their_gaps_in_their_intervals(intervals, lengths, seed):
    pairs = TemporalSampler(lengths, intervals).draw(np.random.default_rng(seed), 64)
    low, high = np.asarray(intervals)[pairs.label].T
    gap = pairs.second - pairs.first
    assert ((low <= gap) & (gap <= high)).all()
    assert (pairs.first >= 0).all()
    assert (pairs.second < np.asarray(lengths)[pairs.video]).all()


def test_videos_intervals_and_gaps_are_uniform():
    number = 60_000
    sampler = TemporalSampler([201, 2000])
    pairs = sampler.draw(np.random.default_rng(0), number)
    assert abs(np.bincount(pairs.video) / number - 1 / 2).max() < 0.01
    assert abs(np.bincount(pairs.label) / number - 1 / 6).max() < 0.01
    gaps = (pairs.second - pairs.first)[pairs.label == 4] - 5
    assert abs(np.bincount(gaps) / len(gaps) - 1 / 16).max() < 0.01
    first = pairs.first[(pairs.video == 0) & (pairs.label == 0)]
    assert first.min() == 0
    assert first.max() == 200


def test_a_clip_must_be_longer_than_the_longest_gap():
    TemporalSampler([201])
    with pytest.raises(VideoError, match="The clip b has 200 frames"):
        TemporalSampler([201, 200], names=["a", "b"])


@pytest.mark.parametrize(
    "intervals", [((0, 1),), ((0, 2), (2, 3)), ((3, 1), (4, 5)), ((-1, 0),) * 2]
)
def test_intervals_that_make_no_sense_are_refused(intervals):
    check_intervals(PUBLISHED_INTERVALS)
    with pytest.raises(InvalidArgumentError):
        TemporalSampler([300], intervals)


@given(
    sounding=st.lists(st.lists(st.booleans(), min_size=40, max_size=80), min_size=1, max_size=3),
    window=st.integers(0, 18),
    sounds=st.sampled_from(["sounding", "any"]),
    negatives=st.sampled_from(["sounding", "any"]),
    seed=st.integers(0, 9),
)
def test_sounds_are_with_their_frame_or_far_from_it(sounding, window, sounds, negatives, seed):
    flags = [np.asarray(each) for each in sounding]
    try:
        sampler = SoundSampler(flags, window, sounds=sounds, negatives=negatives)
    except VideoError:
        assert any(
            not each.any() or (negatives == "sounding" and _span(each) <= 2 * window)
            for each in flags
        )
        return
    pairs = sampler.draw(np.random.default_rng(seed), 64)
    away = np.abs(pairs.frame - pairs.sound)
    assert (away[pairs.label == 1] == 0).all()
    assert (away[pairs.label == 0] > window).all()
    for index, each in enumerate(flags):
        mine = pairs.video == index
        assert (pairs.frame[mine] < len(each)).all()
        if sounds == "sounding":
            assert each[pairs.sound[mine]].all()
        if negatives == "sounding":
            assert each[pairs.frame[mine & (pairs.label == 0)]].all()


def _span(flags):
    return np.ptp(np.flatnonzero(flags))


def test_counterexamples_are_uniform_over_all_frames_outside_the_window():
    sounding = np.zeros(20, bool)
    sounding[8] = True
    pairs = SoundSampler([sounding], window=3).draw(np.random.default_rng(0), 40_000)
    assert abs(pairs.label.mean() - 0.5) < 0.01
    counts = np.bincount(pairs.frame[pairs.label == 0], minlength=20)
    assert (counts[5:12] == 0).all()
    outside = np.r_[counts[:5], counts[12:]]
    assert abs(outside / outside.sum() - 1 / 13).max() < 0.01


def test_silent_and_short_clips_are_refused():
    sounding = np.ones(10, bool)
    with pytest.raises(VideoError, match="Clip 1 is silent"):
        SoundSampler([sounding, ~sounding], window=3)
    with pytest.raises(VideoError, match="10 frames is too short"):
        SoundSampler([sounding], window=10)
    with pytest.raises(InvalidArgumentError, match="sounds is 'loud'"):
        SoundSampler([sounding], 3, sounds="loud")
