"""One episode against a demonstration, step by step."""

import numpy as np
import pytest

from hxwrappers.curriculum import AttemptSettings
from hxwrappers.curriculum.attempt import (
    Attempt,
    AttemptRules,
    AttemptStatus,
    latest_starting_point,
)
from hxwrappers.errors import InvalidArgumentError

RETURNS = np.array([0.0] * 5 + [100.0] * 5 + [400.0])  # 100 at step 5, 400 at step 10


def attempt(start=0, returns=RETURNS, seed=0, **settings):
    course = AttemptRules(returns, AttemptSettings(**settings))
    return Attempt(course, start, np.random.default_rng(seed))


def play(episode, rewards):
    return [episode.step(reward, ended=False) for reward in rewards]


def test_the_demonstrations_own_rewards_succeed_at_its_last_one():
    episode = attempt(extra_steps=None)
    verdicts = play(episode, np.diff(RETURNS))
    assert verdicts == [AttemptStatus.GO_ON] * 9 + [AttemptStatus.FINISHED]
    assert episode.succeeded
    assert episode.score == 400


def test_the_return_before_the_start_counts():
    episode = attempt(start=7, extra_steps=None)
    assert episode.score == 100
    assert play(episode, [0, 300]) == [AttemptStatus.GO_ON, AttemptStatus.FINISHED]


def test_lagging_by_hand():
    # Allowed lag 3: after step 3 + n the score must be what the demonstration had at step n.
    episode = attempt(allowed_lag=3)
    assert play(episode, [0] * 7) == [AttemptStatus.GO_ON] * 7  # at step 7 it had 0 at step 4
    assert play(episode, [0]) == [AttemptStatus.LAGGING]  # at step 8 it had 100 at step 5
    assert not episode.succeeded


def test_nobody_lags_within_the_allowed_lag():
    episode = attempt(allowed_lag=2, success_at="first")
    assert play(episode, [-1, 0, 0]) == [
        AttemptStatus.GO_ON,
        AttemptStatus.GO_ON,
        AttemptStatus.LAGGING,
    ]


def test_no_lag_limit():
    assert play(attempt(allowed_lag=None), [0] * 100) == [AttemptStatus.GO_ON] * 100


def test_extra_steps_are_log_uniform():
    lengths = []
    for seed in range(2000):
        episode = attempt(start=9, seed=seed)
        lengths.append(0)
        assert episode.step(300, ended=False) in (AttemptStatus.GO_ON, AttemptStatus.FINISHED)
        while episode._extra > 0:
            verdict = episode.step(0, ended=False)
            lengths[-1] += 1
        assert lengths[-1] == 0 or verdict is AttemptStatus.FINISHED
    logs = np.log(np.maximum(lengths, 1))
    assert max(lengths) <= np.exp(7)
    assert abs(np.median(logs) - 3.5) < 0.2


def test_a_tolerance_forgives():
    episode = attempt(score_tolerance=50, extra_steps=None, allowed_lag=3)
    assert play(episode, [0, 60, 0, 300]) == [AttemptStatus.GO_ON] * 3 + [AttemptStatus.FINISHED]


def test_negative_rewards_are_judged_at_the_end():
    returns = np.array([0.0, -1.0, -2.0, -3.0])
    episode = attempt(returns=returns, extra_steps=None)
    assert episode.step(-1, ended=False) is AttemptStatus.GO_ON  # -1 is more than -3, but too early
    assert not episode.succeeded
    assert episode.step(-1, ended=True) is AttemptStatus.FINISHED
    assert episode.succeeded
    slow = attempt(returns=returns, extra_steps=None, allowed_lag=3)
    assert play(slow, [-1] * 5) == [AttemptStatus.GO_ON] * 5
    assert slow.step(-1, ended=False) is AttemptStatus.LAGGING


def test_where_the_demonstration_stops_before_the_end_its_last_step_counts_as_one():
    returns = np.array([0.0, -1.0, 4.0, 3.0])
    course = AttemptRules(returns, AttemptSettings(extra_steps=None), terminates=False)
    same, worse, later = (Attempt(course, 0, np.random.default_rng(0)) for _ in range(3))
    assert play(same, np.diff(returns)) == [AttemptStatus.GO_ON] * 2 + [AttemptStatus.FINISHED]
    assert same.succeeded
    assert play(worse, [-1, 5, -2]) == [AttemptStatus.GO_ON] * 3
    assert play(later, [-1, -1, 0, 5]) == [AttemptStatus.GO_ON] * 3 + [AttemptStatus.FINISHED]


def test_sums_in_another_order_are_equal():
    returns = np.concatenate([[0], np.cumsum([0.1] * 10)])
    episode = attempt(returns=returns, extra_steps=None)
    play(episode, [0.0] * 9)
    assert episode.step(1.0 - 1e-12, ended=False) is AttemptStatus.FINISHED


def test_the_latest_starting_point_has_the_last_reward_before_it():
    assert latest_starting_point(RETURNS) == 9
    assert latest_starting_point(np.array([0.0, 1.0, 0.0, 1.0])) == 2
    assert latest_starting_point(np.array([0.0, 1.0, 1.0, 1.0])) == 0
    assert latest_starting_point(np.zeros(6)) == 4
    assert latest_starting_point(np.array([0.0, 0.0])) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_lag": -1},
        {"allowed_lag": 4 / 2},
        {"extra_steps": float("nan")},
        {"extra_steps": 50},
        {"score_tolerance": float("inf")},
        {"success_at": "never"},
    ],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(InvalidArgumentError):
        AttemptSettings(**wrong)
