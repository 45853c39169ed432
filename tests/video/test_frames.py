"""Frames at a steady rate, for any times."""

from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.video.frames import EPSILON, Timed, frames_up_to, steady

GAPS = st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=20)
RATES = st.sampled_from([1.0, 7.5, 15.0, 24.0, 29.97, 60.0])


@given(GAPS, RATES, st.floats(0, 3), st.one_of(st.none(), st.floats(0.1, 10)))
def test_each_moment_shows_the_last_frame_before_it(gaps, rate, start, length):
    starts = [sum(gaps[:index]) for index in range(len(gaps))]
    end = starts[-1] + 0.1
    stop = None if length is None else start + length
    frames = [Timed(at, end, index) for index, at in enumerate(starts)]
    shown = list(steady(frames, int, rate, start, stop))
    last = end if stop is None else min(end, stop)
    assert len(shown) == frames_up_to(last - start, rate)
    for count, index in enumerate(shown):
        moment = start + count / rate
        known = [number for number, at in enumerate(starts) if at <= moment + EPSILON]
        early = [number for number, at in enumerate(starts) if at <= moment + EPSILON * 0.999]
        assert index in (max(known, default=0), max(early, default=0))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20))
def test_times_that_go_backwards_never_break_the_order(times):
    frames = [Timed(at, at + 0.1, index) for index, at in enumerate(times)]
    shown = list(steady(frames, int, 15.0, min(times)))
    assert shown == sorted(shown)


@given(st.floats(0, 1000), RATES)
def test_frames_until(stop, rate):
    count = frames_up_to(stop, rate)
    assert count / rate >= stop - EPSILON
    assert count == 0 or (count - 1) / rate < stop - EPSILON
