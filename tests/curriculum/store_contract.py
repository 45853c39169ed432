"""What every store of a success table does, checked with a demonstration and a maker of stores."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from hxwrappers.curriculum import FrontierSettings, LocalStore, StartingPoint, SuccessTracker
from hxwrappers.errors import CheckpointError, DemoError
from tests.demos.samples import paid_early

RULES = FrontierSettings(window=2, update_every=4, memory=50)


def train(tracker, episodes, seed=0, success=True):
    generator = np.random.default_rng(seed)
    for _ in range(episodes):
        tracker.report(tracker.draw(generator), success=success)


def with_frontier(tracker, step):
    state = tracker.state_dict()
    state["words"][0] = step
    return state


def moves_to_the_start_and_is_finished(demo, make_store):
    tracker = SuccessTracker(demo, RULES, make_store())
    assert tracker.frontiers.tolist() == [5]
    assert not tracker.finished
    assert np.isnan(tracker.success_rates).all()
    train(tracker, 100)
    assert tracker.frontiers.tolist() == [0]
    assert tracker.covered == 1.0
    assert tracker.finished
    assert tracker.success_rates.tolist() == [1.0]
    assert tracker.episodes == 100
    assert tracker.rates()[0] == 1.0


def goes_on_with_the_table_and_its_settings(demo, make_store):
    store = make_store()
    train(SuccessTracker(demo, RULES, store), 20)
    again = SuccessTracker(demo, store=store)
    assert again.settings == RULES
    assert again.episodes == 20
    assert again.frontiers[0] < 5


def refuses_other_demonstrations_and_settings(demo, make_store):
    store = make_store()
    SuccessTracker(demo, RULES, store)
    with pytest.raises(DemoError, match="other demonstrations"):
        SuccessTracker(paid_early(demo), RULES, store)
    with pytest.raises(DemoError, match="window=9"):
        SuccessTracker(demo, FrontierSettings(window=9), store)


def refuses_unknown_starting_points(demo, make_store):
    tracker = SuccessTracker(demo, RULES, make_store())
    for start in (StartingPoint(1, 0), StartingPoint(0, 6), StartingPoint(0, -1)):
        with pytest.raises(DemoError):
            tracker.report(start, success=True)
    assert tracker.episodes == 0


def goes_on_bit_for_bit_from_a_saved_state(demo, make_store):
    straight = SuccessTracker(demo, RULES, LocalStore())
    train(straight, 5, seed=1)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    train(straight, 9, seed=2)
    resumed = SuccessTracker(demo, RULES, make_store())
    resumed.load_state_dict(torch.load(file, weights_only=True))
    train(resumed, 9, seed=2)
    assert (resumed.state_dict()["words"] == straight.state_dict()["words"]).all()


def refuses_wrong_states(demo, make_store):
    tracker = SuccessTracker(demo, RULES, make_store())
    train(tracker, 7)
    before = tracker.state_dict()["words"]
    other = SuccessTracker(paid_early(demo), RULES, LocalStore()).state_dict()
    for state in (
        {},
        other,
        {**tracker.state_dict(), "words": [2**70]},
        with_frontier(tracker, 99),
    ):
        with pytest.raises(CheckpointError):
            tracker.load_state_dict(state)
    assert (tracker.state_dict()["words"] == before).all()


CHECKS = [
    moves_to_the_start_and_is_finished,
    goes_on_with_the_table_and_its_settings,
    refuses_other_demonstrations_and_settings,
    refuses_unknown_starting_points,
    goes_on_bit_for_bit_from_a_saved_state,
    refuses_wrong_states,
]
