"""When models train: rollouts of a trainer, the pace without one, warm-ups, steps and shares."""

import numpy as np
import pytest
import torch

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.novelty import CNDModel, RNDModel
from tests.novelty.samples import SMALL, VECTOR, drive, make, observations

OWN_PACE = {"update_every": None}


@pytest.mark.parametrize("kind", ["rnd", "mse"])
@pytest.mark.parametrize("warmup_steps", [0, 50, 150])
def test_a_rollout_has_one_bonus_and_training_comes_after_it(kind, warmup_steps):
    model = make(kind, **OWN_PACE, warmup_steps=warmup_steps, epochs=1, batch_size=512)
    streams = model.open_streams(2)
    same = observations(VECTOR, 1, seed=9)
    for rollout in range(5):
        model.begin_rollout()
        bonuses = set()
        for step in range(128):
            batch = np.concatenate([same, observations(VECTOR, 1, seed=rollout * 128 + step)])
            bonuses.add(float(model.observe(batch, streams)[0]))
        assert len(bonuses - {0.0}) <= 1, "zero during the warm-up or without a scale"
        before = model.score(same).item()
        trained = model.updates
        model.end_rollout()
        assert model.updates == trained + (warmup_steps <= rollout * 128 + 127)
        assert (model.score(same).item() != before) is (model.updates > trained)
        assert len(model._rollout) == 0 or model.updates == trained


@pytest.mark.parametrize(
    ("update_every", "delimited", "expected"),
    [(None, False, 3), (None, True, 1), (100, False, 4), (100, True, 4)],
)
def test_who_decides_when_training_is_due(update_every, delimited, expected):
    model = make("rnd", update_every=update_every, warmup_steps=0, epochs=1, batch_size=512)
    model.open_streams(2)
    if delimited:
        model.begin_rollout()
    drive(model, 400, streams=2)
    if delimited:
        assert model.end_rollout() == model.losses
    assert model.updates == expected


def test_the_pace_without_a_trainer_holds_again_after_the_last_rollout():
    model = make("rnd", **OWN_PACE, warmup_steps=0, epochs=1, batch_size=512)
    model.open_streams(2)
    model.begin_rollout()
    drive(model, 300, streams=2)
    model.end_rollout()
    drive(model, 256, streams=2)
    assert model.updates == 3
    model.end_rollout()
    assert model.updates == 3, "no rollout was begun"


def test_a_frozen_model_is_not_trained_at_a_rollouts_end():
    model = make("rnd", **OWN_PACE, warmup_steps=0)
    model.open_streams(2)
    model.begin_rollout()
    drive(model, 10, streams=2)
    model.training = False
    model.end_rollout()
    assert model.updates == 0


def test_a_long_warm_up_keeps_few_frames_and_all_moments():
    model = make("rnd", **OWN_PACE, warmup_steps=300)
    model.open_streams(2)
    kept = []
    for step in range(300):
        model.observe(observations(VECTOR, 2, step), np.arange(2))
        kept.append(len(model._rollout))
    assert max(kept) < 2 * 128
    seen = np.concatenate([observations(VECTOR, 2, step) for step in range(300)])
    np.testing.assert_allclose(model._normalize._moments.mean, seen.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(model._normalize._moments.variance, seen.var(axis=0), atol=1e-6)
    assert (model.observe(observations(VECTOR, 2, 300), np.arange(2)) > 0).all()


@pytest.mark.parametrize("cut", [100, 128, 200, 299, 310])
def test_a_warm_up_that_is_saved_goes_on(cut):
    straight, first, second = (make("rnd", **OWN_PACE, warmup_steps=300) for _ in range(3))
    for model in (straight, first, second):
        model.open_streams(2)
    batches = [observations(VECTOR, 2, step) for step in range(320)]
    expected = [straight.observe(batch, np.arange(2)) for batch in batches]
    for batch in batches[:cut]:
        first.observe(batch, np.arange(2))
    second.load_state_dict(first.state_dict())
    actual = [second.observe(batch, np.arange(2)) for batch in batches[cut:]]
    np.testing.assert_array_equal(actual, expected[cut:])


@pytest.mark.parametrize(
    ("kind", "settings", "environments", "steps", "share"),
    [
        # As published: four passes of four minibatches, of 32 environments' share of the samples.
        (RNDModel, {}, 8, 16, 1.0),
        (RNDModel, {}, 32, 16, 1.0),
        (RNDModel, {}, 128, 16, 0.25),
        (RNDModel, {"train_fraction": 0.5}, 128, 16, 0.5),
        (RNDModel, {"batch_size": 64}, 8, 8, 1.0),
        (RNDModel, {"minibatches": 2, "epochs": 3}, 8, 6, 1.0),
        (CNDModel, {}, 128, 20, 0.25),  # minibatches of 512
    ],
)
def test_gradient_steps_of_a_rollout(kind, settings, environments, steps, share, monkeypatch):
    model = kind(VECTOR, features=4, hidden=4, warmup_steps=0, seed=0, device="cpu", **settings)
    streams = model.open_streams(environments)
    sizes = []
    distil = model._distil_weighted
    monkeypatch.setattr(
        model,
        "_distil_weighted",
        lambda frames, *rest: sizes.append(len(frames)) or distil(frames, *rest),
    )
    model.begin_rollout()
    for step in range(16 if kind is RNDModel else 20):
        model.observe(observations(VECTOR, environments, step), streams)
    model.end_rollout()
    frames = environments * (16 if kind is RNDModel else 20) * model.settings["epochs"]
    assert len(sizes) == steps
    assert sum(sizes) == pytest.approx(share * frames, rel=0.01)


@pytest.mark.parametrize("name", ["update_every", "batch_size", "train_fraction"])
def test_what_may_be_left_to_the_model_is_still_checked(name):
    RNDModel(VECTOR, **{**SMALL, name: None})
    with pytest.raises(InvalidArgumentError, match=name):
        RNDModel(VECTOR, **{**SMALL, name: 0})


def test_a_rollout_of_a_few_frames_is_trained_on():
    model = RNDModel(VECTOR, features=4, hidden=4, warmup_steps=0, seed=0)
    streams = model.open_streams(1)
    model.begin_rollout()
    for step in range(3):
        model.observe(observations(VECTOR, 1, step), streams)
    before = [parameter.clone() for parameter in model.predictor.parameters()]
    model.end_rollout()
    assert not all(map(torch.equal, before, model.predictor.parameters()))


def test_a_shorter_warm_up_than_the_saved_one_ends_sooner():
    long, short = make("rnd", warmup_steps=300), make("rnd", warmup_steps=4)
    short.load_state_dict(long.state_dict())
    drive(short, 4)
    assert not short.warming_up


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["schedule"].update(warmup_left=-1),
        lambda state: state["filter"].update(sums=torch.zeros(2, 2)),
        lambda state: state["filter"].update(pending=[torch.zeros(())]),
        lambda state: state.pop("schedule"),
    ],
)
def test_states_that_make_no_sense_are_refused(damage):
    model = make("rnd")
    drive(model, 5)
    state = model.state_dict()
    before = model.score(observations(VECTOR, 4))
    damage(state)
    with pytest.raises(CheckpointError):
        model.load_state_dict(state)
    np.testing.assert_array_equal(model.score(observations(VECTOR, 4)), before)
