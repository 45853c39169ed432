"""Steps by the clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.recorder.timeline import Pace


@given(
    st.lists(st.floats(0.0001, 0.09), min_size=1, max_size=300),
    st.sampled_from([15.0, 30.0, 60.0, 7.5]),
)
def test_delays_do_not_add_up(waits, rate):
    pace, now, taken = Pace(), 100.0, 0
    taken += pace.due(now, rate)
    for wait in waits:
        now += wait
        taken += pace.due(now, rate)
        assert abs(taken - (now - 100.0) * rate - 1) <= 1.001


def test_who_falls_behind_does_not_catch_up():
    pace = Pace()
    assert pace.due(0.0, 60.0) == 1
    assert pace.due(10.0, 60.0) == 6
    assert pace.due(10.01, 60.0) == 0
    assert pace.due(10.02, 60.0) == 1


def test_when_the_next_is_due():
    pace = Pace()
    assert pace.seconds_to_next(5.0) == 0
    pace.due(5.0, 50.0)
    assert pace.seconds_to_next(5.005) == pytest.approx(0.015)
    pace.restart(9.0)
    assert pace.due(8.9, 50.0) == 0
    assert pace.due(9.0, 50.0) == 1


def test_the_measured_rate():
    pace = Pace()
    assert pace.measured(0.0) == 0
    for tick in range(300):
        pace.due(tick / 100, 60.0)
    assert pace.measured(2.99) == pytest.approx(60.0, rel=0.02)
    assert pace.measured(9.0) == 0
