"""The frontier rule: by hand, by property, and over synthetic learners."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxwrappers.curriculum import FrontierSettings, StartingPoint, next_frontier
from hxwrappers.curriculum.success_table import SuccessTable, draw_start, window_size
from hxwrappers.errors import InvalidArgumentError
from tests.curriculum.learners import Learner, simulate

TEN = FrontierSettings(window=9, threshold=0.2, retreat=5, memory=16)


def rule(window, frontier=50, later=(), attempts=None, latest=99, settings=TEN):
    """Where it goes, given the successes of the window and of the steps after it, one try each."""
    tried, won = np.zeros(latest + 1), np.zeros(latest + 1)
    first = frontier + 1 - len(window)
    tried[first : frontier + 1] = 1 if attempts is None else attempts
    won[first : frontier + 1] = window
    tried[frontier + 1 :] = 1
    won[frontier + 1 : frontier + 1 + len(later)] = later
    return next_frontier(tried, won, frontier, settings)


@pytest.mark.parametrize(
    ("successes", "expected"),
    [
        ([1] * 10, 42),  # the first two of ten starts give the fifth
        ([0] * 8 + [1, 1], 50),  # only the last two: it stays
        ([0] * 6 + [1] * 4, 48),
        ([0.5] * 10, 44),  # 0.05 a start: four of them
        ([1, 1] + [0] * 8, 42),  # a fifth exactly is enough
        ([0] * 10, 55),  # nothing succeeds: as far as `retreat`
    ],
)
def test_worked_out_by_hand(successes, expected):
    assert rule(successes) == expected


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([1, 1, 1], 51),
        ([0.5, 0.25, 0.25, 1], 53),
        ([0, 0, 0, 0, 1, 1], 55),
        ([0, 0, 0, 0, 0, 1], 55),  # would make up for it, but lies further than `retreat`
    ],
)
def test_it_goes_forward_to_where_later_successes_make_up_for_it(later, expected):
    assert rule([0] * 9 + [1], later=later) == expected


def test_it_need_never_go_forward():
    assert rule([0] * 10, later=[1] * 9, settings=FrontierSettings(window=9, retreat=0)) == 50


def test_starts_that_nobody_tried_count_as_failed():
    assert rule([0] * 9 + [4], attempts=[0] * 9 + [4]) == 55


def test_it_stays_within_the_demonstration():
    assert rule([0] * 10, frontier=98) == 99
    assert rule([1], frontier=0, latest=0) == 0


def test_near_the_start_more_of_what_is_left_must_succeed():
    assert rule([0, 0, 0, 1, 1, 1], frontier=5) == 4  # two of ten
    assert rule([0, 0, 0, 0.5, 0.5, 0.5], frontier=5, later=[0.5]) == 6
    assert rule([0.3, 0.9, 0.6], frontier=2, later=[0.1, 0.1]) == 4


@pytest.mark.parametrize(
    ("attempts", "successes", "enough"),
    [
        (10, 2, True),  # a fifth
        (10, 1.9, False),
        (1, 0.4, True),  # an eighth of the memory counts as tries at least: a fifth of 2
        (1, 0.3, False),
    ],
)
def test_it_goes_to_the_start_once_a_fifth_of_the_episodes_from_there_succeed(
    attempts, successes, enough
):
    tried, won = np.ones(100), np.zeros(100)
    tried[0], won[0] = attempts, successes
    won[1:7] = 0.25
    for frontier in (0, 8, 9):
        assert next_frontier(tried, won, frontier, TEN) == (0 if enough else frontier + 5)
    assert next_frontier(tried, won, 10, TEN) == 15, "the window does not reach beyond the start"


def test_large_windows_are_pooled_in_groups():
    wide = FrontierSettings(window=319)
    tried, won = np.zeros(2001), np.zeros(2001)
    tried[681:1001:20] = won[681:1001:20] = 1  # one start in each group
    assert next_frontier(tried, won, 1000, wide) == 1000 - 319 + 63


def test_a_demonstration_shorter_than_the_window():
    tried = np.ones(9)
    rules = FrontierSettings(window=320, memory=96)
    assert next_frontier(tried, np.ones(9), 8, rules) == 1  # 1.8 of 9


@pytest.mark.parametrize(
    ("latest", "window", "expected"),
    [
        (0, None, 0),
        (8, None, 8),
        (319, None, 16),
        (340, None, 17),  # a twentieth
        (6399, None, 319),
        (53_000, None, 320),
        (8, 320, 8),
        (8, 3, 3),
        (8, 0, 0),
    ],
)
def test_how_wide_the_window_is(latest, window, expected):
    assert window_size(latest, FrontierSettings(window=window)) == expected


def draws(frontier, latest, settings, number=4000):
    generator = np.random.default_rng(0)
    return np.array([draw_start(frontier, latest, settings, generator) for _ in range(number)])


def test_starts_before_the_first_step_are_the_first_step():
    found = draws(3, 99, TEN)
    assert np.mean(found == 0) == pytest.approx(0.8 * 7 / 10, abs=0.03)  # 3 - 9 to 0
    assert np.mean(found == 2) == pytest.approx(0.8 / 10, abs=0.02)
    assert np.mean(found > 3) == pytest.approx(0.2 * 96 / 97, abs=0.03)
    assert found.max() == 99


def test_a_demonstration_shorter_than_the_window_is_played_evenly_at_first():
    found = draws(8, 8, FrontierSettings(window=320, own_share=1.0))
    assert np.bincount(found) == pytest.approx(np.full(9, 4000 / 9), abs=80)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=64),
    st.integers(0, 300),
    st.sampled_from([0.05, 0.2, 0.5, 1.0]),
)
def test_properties(rows, extra, threshold):
    frontier = len(rows) - 1 + extra
    latest = frontier + 50
    rules = FrontierSettings(window=len(rows) - 1, threshold=threshold, retreat=20)
    tried, won = np.zeros(latest + 1), np.zeros(latest + 1)
    tried[extra : frontier + 1] = [row[0] for row in rows]
    won[extra : frontier + 1] = tried[extra : frontier + 1] * [row[1] for row in rows]
    moved = next_frontier(tried, won, frontier, rules)
    assert moved == 0 or extra <= moved <= min(frontier + 20, latest)
    assert next_frontier(tried, tried, frontier, rules) <= moved, "more successes, further back"


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": -1},
        {"window": 1.5},
        {"threshold": 0.0},
        {"threshold": float("nan")},
        {"own_share": 1.1},
        {"update_every": 0},
        {"memory": True},
    ],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(InvalidArgumentError):
        FrontierSettings(**wrong)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 5))]
)
def test_it_reaches_the_start_with_learners_that_learn(seed):
    for learner in (
        Learner(1000, speed=0.5, reach=40),
        Learner(1000, speed=0.2, reach=20, ceiling=0.6),
        Learner(1000, speed=0.5, reach=40, hard=[(480, 520)]),
    ):
        frontiers = simulate(learner, 1000, 12_000, seed)
        assert frontiers[-1] == 0
        moves = np.diff(frontiers)
        assert (moves > 0).sum() <= 0.4 * (moves < 0).sum(), "it went to and fro"


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
