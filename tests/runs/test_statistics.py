"""Figures of samples of returns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.runs.statistics import bootstrap_interval, interquartile_mean, summarize

SAMPLES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


def mean(sample):
    return sample.mean(axis=-1)


def test_interquartile_mean_by_hand():
    # Eight values: two go at either end, and (3 + 4 + 5 + 8) / 4 remains.
    assert interquartile_mean([100, 1, 3, 4, -50, 5, 8, 9]) == 5
    # Seven: a quarter is one and three quarters, so one goes at either end.
    assert interquartile_mean([0, 1, 2, 3, 4, 5, 70]) == 3
    # Three or fewer: none goes.
    assert interquartile_mean([0, 0, 9]) == 3
    np.testing.assert_array_equal(interquartile_mean([[0, 1, 2, 9], [4, 4, 6, 0]]), [1.5, 4])


@given(SAMPLES)
def test_interquartile_mean_is_a_trimmed_mean(values):
    stats = pytest.importorskip("scipy.stats")
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


def test_summary_by_hand():
    summary = summarize([400, 0, 100, 0, 100, 0, 0, 200])
    assert summary.count == 8
    assert summary.mean.value == 100
    assert summary.median.value == 50  # between 0 and 100
    assert summary.interquartile_mean.value == 50  # of 0, 0, 100, 100
    assert summary.best == 400


def test_interval_of_two_values_by_hand():
    # Means of two draws from (0, 1): 0 and 1 in a quarter of the cases each, 1/2 in the others.
    assert bootstrap_interval([0, 1], mean, confidence=0.95) == (0, 1)
    assert bootstrap_interval([0, 1], mean, confidence=0.4) == (0.5, 0.5)


def test_interval_is_that_of_the_normal_approximation():
    values = np.arange(1000.0)
    low, high = bootstrap_interval(values, mean, resamples=4000)
    half = 1.96 * values.std() / np.sqrt(1000)
    assert (low, high) == pytest.approx((499.5 - half, 499.5 + half), abs=1.0)


@given(SAMPLES)
def test_intervals_lie_within_the_sample(values):
    summary = summarize(values, resamples=50)
    for estimate in (summary.mean, summary.median, summary.interquartile_mean):
        slack = 1e-9 * max(1.0, *map(abs, values))
        assert min(values) - slack <= estimate.low <= estimate.high <= max(values) + slack
    assert summary == summarize(values, resamples=50)


def test_many_values_are_drawn_in_blocks(monkeypatch):
    values = np.arange(100.0)
    whole = bootstrap_interval(values, mean, resamples=50)
    monkeypatch.setattr("hxwrappers.runs.statistics._BLOCK", 700)
    assert bootstrap_interval(values, mean, resamples=50) == whole


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_no_sample(values):
    with pytest.raises(InvalidArgumentError, match="finite"):
        summarize(values)


def test_arguments_out_of_range():
    with pytest.raises(InvalidArgumentError, match="confidence is 1"):
        summarize([1.0], confidence=1)
    with pytest.raises(InvalidArgumentError, match="resamples is 0"):
        summarize([1.0], resamples=0)
    with pytest.raises(InvalidArgumentError, match="one axis"):
        bootstrap_interval([[1.0]], mean)
