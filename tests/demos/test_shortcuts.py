"""The shortest way found to a demonstration's return, and the bound of episodes that follows it."""

from functools import partial

import numpy as np
import pytest

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, LocalStore, StartingPoint, SuccessTracker
from hxwrappers.curriculum.attempt import Attempt, AttemptRules, AttemptSettings, AttemptStatus
from tests.demos.samples import lake_demo, lake_env
from tests.wrappers.curricula import from_step, tracker_of

DETOUR = (1, 3, 1, 1, 3, 1, 2, 1, 2, 2)  # back up twice: four steps more than needed


def test_the_largest_saving_stays_with_its_start():
    tracker = SuccessTracker([lake_demo(), lake_demo(*DETOUR)], store=LocalStore())
    assert tracker.latest == (5, 9)
    assert tracker.shortcut(1) == (0, 0)
    for start, success, steps, wanted in (
        (4, True, 6, (0, 0)),  # no shorter
        (4, False, 2, (0, 0)),
        (4, True, None, (0, 0)),
        (4, True, 5, (4, 1)),
        (2, True, 7, (4, 1)),
        (1, True, 6, (1, 3)),
        (6, True, 2, (1, 3)),
    ):
        tracker.report(StartingPoint(1, start), success=success, steps=steps)
        assert tracker.shortcut(1) == wanted
    assert tracker.shortcut(0) == (0, 0)
    again = SuccessTracker(tracker.demos, store=LocalStore())
    again.load_state_dict(tracker.state_dict())
    assert again.shortcut(1) == (1, 3)


@pytest.mark.parametrize(
    ("saved", "shrinks", "last"), [(0, True, None), (3, False, None), (3, True, 4), (1, True, 6)]
)
def test_the_bound(saved, shrinks, last):
    settings = AttemptSettings(allowed_lag=2, shrink_bound=shrinks)
    returns = np.array([0.0, 0, 0, 0, 0, 0, 1])
    attempt = Attempt(AttemptRules(returns, settings), 1, np.random.default_rng(0), saved)
    verdicts = [attempt.step(0.0, ended=False) for _ in range(6)]
    # Five steps are left of the demonstration; two more are allowed, less what can be saved.
    ends = [index + 1 for index, verdict in enumerate(verdicts) if verdict is AttemptStatus.LAGGING]
    assert (ends[0] if ends else None) == last


def test_episodes_get_no_more_time_than_the_shortest_way_and_the_lag():
    demo = lake_demo(*DETOUR)
    tracker = tracker_of(demo, window=9)
    make = partial(DemoResetCurriculum, lake_env(), demo, tracker, allowed_lag=1, extra_steps=None)

    def length(env, actions):
        from_step(env, 0)
        for count, action in enumerate(actions, 1):
            *_, terminated, truncated, info = env.step(action)
            if terminated or truncated:
                return count, info["attempt"]
        return None

    env, plain = make(shrink_bound=True), make()
    idle = (0,) * 20
    assert length(env, idle) == length(plain, idle) == (11, "lagging")
    assert length(env, (1, 1, 2, 1, 2, 2)) == (6, "success")
    assert tracker.shortcut() == (0, 4)
    assert length(env, idle) == (7, "lagging")
    assert length(plain, idle) == (11, "lagging")
    assert FrontierSettings(window=9) == tracker.settings
