"""The frontier rule: by hand, by property, and over synthetic learners."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxwrappers.demos import FrontierSettings, StartingPoint, next_frontier
from hxwrappers.demos.success_table import SuccessTable
from hxwrappers.errors import InvalidArgumentError
from tests.demos.learners import Learner, simulate

TEN = FrontierSettings(window=9, threshold=0.2, collapse=0.05, retreat=5)


def rule(successes, frontier=50, latest=99, attempts=None, settings=TEN):
    tried = np.ones(len(successes)) if attempts is None else np.array(attempts, float)
    return next_frontier(tried, np.array(successes, float), frontier, latest, settings)


@pytest.mark.parametrize(
    ("successes", "expected"),
    [
        ([1] * 10, 42),  # the first two of ten starts give the fifth
        ([0] * 8 + [1, 1], 50),  # only the last two: it stays
        ([0] * 6 + [1] * 4, 48),
        ([0.5] * 10, 44),  # 0.05 a start: four of them
        ([0] * 9 + [1], 50),  # a tenth: less than a fifth, more than a collapse
        ([1, 1] + [0] * 8, 42),  # a fifth exactly is enough
        ([0] * 9 + [0.5], 50),  # a twentieth is no collapse yet
        ([0] * 10, 55),
    ],
)
def test_worked_out_by_hand(successes, expected):
    assert rule(successes) == expected


def test_it_need_never_collapse():
    assert rule([0] * 10, settings=FrontierSettings(window=9, collapse=0.0)) == 50


def test_starts_that_nobody_tried_count_as_failed():
    assert rule([0] * 9 + [4], attempts=[0] * 9 + [4]) == 50


def test_it_stays_within_the_demonstration():
    assert rule([0] * 10, frontier=98) == 99
    assert rule([1], frontier=0) == 0
    assert rule([1, 1, 1], frontier=2) == 0


def test_large_windows_are_pooled_in_groups():
    wide = FrontierSettings(window=319)
    tried, won = np.zeros(320), np.zeros(320)
    tried[::20] = won[::20] = 1  # one start in each group
    assert next_frontier(tried, won, 1000, 2000, wide) == 1000 - 319 + 63


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=64),
    st.integers(0, 300),
    st.sampled_from([0.05, 0.2, 0.5, 1.0]),
)
def test_properties(rows, extra, threshold):
    frontier = len(rows) - 1 + extra
    latest = frontier + 50
    rules = FrontierSettings(window=len(rows) - 1, threshold=threshold, collapse=0.01)
    tried = np.array([row[0] for row in rows])
    won = tried * np.array([row[1] for row in rows])
    moved = next_frontier(tried, won, frontier, latest, rules)
    assert frontier - len(rows) + 1 <= moved <= latest
    assert next_frontier(tried, tried, frontier, latest, rules) <= max(moved, frontier)
    if moved > frontier:
        assert won.sum() <= tried.sum() * 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": -1},
        {"window": 1.5},
        {"threshold": 0.0},
        {"threshold": float("nan")},
        {"collapse": 0.3},
        {"own_share": 1.1},
        {"update_every": 0},
        {"memory": True},
    ],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(InvalidArgumentError):
        FrontierSettings(**wrong)


@pytest.mark.parametrize("seed", range(5))
def test_it_reaches_the_start_with_learners_that_learn(seed):
    for learner in (
        Learner(1000, speed=0.5, reach=40),
        Learner(1000, speed=0.2, reach=20, ceiling=0.6),
        Learner(1000, speed=0.5, reach=40, hard=[(480, 520)]),
    ):
        frontiers = simulate(learner, 1000, 12_000, seed)
        assert frontiers[-1] == 0
        backwards = np.diff(frontiers) > 0
        assert backwards.sum() <= 2, "it went to and fro"


@pytest.mark.parametrize("seed", range(3))
def test_it_stands_still_where_the_learner_does(seed):
    frontiers = simulate(Learner(600, speed=0.0, reach=10), 1000, 12_000, seed)
    assert np.ptp(frontiers[-4000:]) <= 30
    assert 550 <= frontiers[-1] <= 660


def test_it_goes_forward_when_learning_collapses():
    generator = np.random.default_rng(0)
    learner = Learner(3000, speed=0.5, reach=40)
    rules = FrontierSettings(window=64, update_every=32, memory=64)
    table = SuccessTable(np.zeros(SuccessTable.size([3000]), np.uint64), [3000], rules)
    table.start()
    for episode in range(8000):
        frontier = int(table.frontiers[0])
        step = int(generator.integers(max(0, frontier - 64), frontier + 1))
        success = learner.attempt(step, generator) and not 1000 < episode < 3000
        table.count(StartingPoint(0, step), success=success)
        if episode == 1000:
            before = frontier
            assert before > 0
        if episode == 3000:
            assert frontier > before
    assert int(table.frontiers[0]) < before


def test_old_episodes_count_less_by_hand():
    rules = FrontierSettings(window=2, update_every=99, memory=4)
    table = SuccessTable(np.zeros(SuccessTable.size([9]), np.uint64), [9], rules)
    table.start()
    for step, success in ((9, True), (9, False), (8, False), (3, True), (3, False)):
        table.count(StartingPoint(0, step), success=success)
    # From the window, each further episode leaves three quarters of those before, at every step.
    assert table.rates(0)[9] == pytest.approx((9 / 16) / (9 / 16 + 3 / 4))
    assert table.rates(0)[8] == 0
    assert table.window_rate(0) == pytest.approx((9 / 16) / (9 / 16 + 3 / 4 + 1))
    # Outside of it the others of the same step alone count less.
    assert table.rates(0)[3] == pytest.approx(3 / 7)
    assert table.since_move.tolist() == [3]


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=200), st.integers(1, 20))
@settings(max_examples=50)
def test_the_table_stays_consistent_over_any_history(history, update_every):
    rules = FrontierSettings(window=8, update_every=update_every, memory=10, retreat=3)
    table = SuccessTable(np.zeros(SuccessTable.size([4, 30]), np.uint64), [4, 30], rules)
    table.start()
    for step, success in history:
        table.count(StartingPoint(1, step), success=success)
        assert 0 <= table.frontiers[1] <= 30
        known = table.rates(1)[~np.isnan(table.rates(1))]
        assert ((known >= 0) & (known <= 1)).all()
    assert table.episodes.tolist() == [0, len(history)]
    assert table.successes.tolist() == [0, sum(success for _, success in history)]
    assert table.frontiers[0] == 4
    assert np.isnan(table.rates(0)).all()
