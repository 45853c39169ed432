"""What CNDModel hands to its losses, and that the numbers of a training are right by hand."""

import numpy as np
import pytest
import torch

from hxwrappers.novelty import cnd
from tests.novelty.samples import VECTOR, make, observations


def record(monkeypatch, name, result):
    """Put a recorder in the place of a function of the module."""
    calls = []

    def recorded(*arguments, **named):
        calls.append((*arguments, named))
        return result(*arguments)

    monkeypatch.setattr(cnd, name, recorded)
    return calls


def test_half_of_the_pairs_are_two_views_of_one_observation(monkeypatch):
    model = make("mse", pairs=64, noise=0.125)
    views = record(monkeypatch, "augment", lambda inputs, _: inputs)
    pairs = record(monkeypatch, "pair_distance", lambda first, *_: first.sum())
    frames = torch.from_numpy(observations(VECTOR, 64))
    for _ in range(20):
        model._contrastive_loss(frames, None)
    share = []
    for first, second, different, _ in pairs:
        same = (first == second).all(dim=1)
        assert torch.equal(same, different == 0)
        share.append(different.mean())
    assert float(torch.stack(share).mean()) == pytest.approx(0.5, abs=0.05)
    assert len(views) == 2 * len(pairs), "each view is augmented by itself"
    assert all(named == {"noise": 0.125} for *_, named in views)


@pytest.mark.parametrize("guard", [None, 0.5])
def test_the_guard_is_added_and_the_magnitude_is_of_both_views(guard, monkeypatch):
    model = make("mse", feature_guard=guard)
    record(monkeypatch, "augment", lambda inputs, _: inputs)
    pairs = record(monkeypatch, "pair_distance", lambda *_: torch.tensor(7.0))
    loss, magnitude = model._contrastive_loss(torch.from_numpy(observations(VECTOR, 8)), None)
    first, second, *_ = pairs[0]
    expected = first.square().mean() + second.square().mean()
    assert magnitude.item() == pytest.approx(expected.item())
    added = 0.0 if guard is None else max(0.0, expected.item() - guard)
    assert loss.item() == pytest.approx(7.0 + added)
    assert guard is None or added > 0


def test_successive_losses_take_the_earlier_observation_first(monkeypatch):
    model = make("vicreg", feature_guard=None)
    pairs = record(monkeypatch, "vicreg", lambda *_: torch.tensor(0.0))
    frames, before = (torch.from_numpy(observations(VECTOR, 4, seed)) for seed in (1, 2))
    model._contrastive_loss(frames, before)
    first, second, _ = pairs[0]
    for seen, of in ((first, before), (second, frames)):
        expected = torch.from_numpy(model.features(of.numpy()))
        for row in seen:
            assert torch.isclose(row, expected, atol=1e-6).all(dim=1).sum() == 1


def test_the_loss_of_the_predictor_is_the_mean_over_its_samples():
    model = make("rnd", train_fraction=1.0)
    batch = observations(VECTOR, 6)
    expected = float(model.score(batch).mean())
    assert model._distil(torch.from_numpy(batch)).item() == pytest.approx(expected, rel=1e-5)


def test_the_bonus_is_clipped_after_it_is_scaled():
    model = make("rnd", bonus_clip=1.5)
    errors = torch.tensor([0.25, 1.0, 4.0])
    assert model._bonus_of(errors).tolist() == [0, 0, 0]
    model._filter.advance(np.array([0, 1]), torch.tensor([1.0, 2.0]))  # a deviation of one half
    model._filter.commit()
    np.testing.assert_allclose(model._bonus_of(errors), [0.5, 1.5, 1.5], rtol=1e-5)
    np.testing.assert_allclose(make("mse", bonus_clip=0.5)._bonus_of(errors), [0.25, 0.5, 0.5])


def test_each_rollout_moves_the_moments_before_it_is_learned_from(monkeypatch):
    model = make("rnd", warmup_steps=2, update_every=3)
    model.open_streams(1)
    counts = []
    train = model._train
    monkeypatch.setattr(
        model,
        "_train",
        lambda *arguments, **named: (
            counts.append(model._normalize._moments.count),
            train(*arguments, **named),
        )[1],
    )
    for step in range(8):
        model.observe(observations(VECTOR, 1, step), np.arange(1))
    assert counts == [5, 8]
