"""RNDModel and CNDModel: what they learn, when, and what they keep."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.bridge.model_holder import model_from_state
from hxwrappers.errors import (
    InvalidArgumentError,
)
from hxwrappers.novelty import CNDModel, RNDModel
from tests.novelty.samples import CND_LOSSES, IMAGE, SMALL, VECTOR, drive, make, observations


def test_score_is_the_mean_squared_error_over_features():
    model = RNDModel(VECTOR, **SMALL, warmup_steps=0, normalize_observations=False)
    batch = observations(VECTOR, 5)
    inputs = (torch.from_numpy(batch) + 10.0) / 20.0  # scaled by the bounds of the space
    with torch.no_grad():
        expected = (model.target(inputs) - model.predictor(inputs)).square().mean(dim=1)
    np.testing.assert_allclose(model.score(batch), expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["rnd", "mse", "nce", "vicreg"])
@pytest.mark.parametrize("space", [VECTOR, IMAGE])
def test_what_was_trained_on_becomes_less_new(kind, space):
    settings = {"learning_rate": 1e-3, "train_fraction": 1.0, "normalize_observations": False}
    model = make(kind, space, **settings)
    if kind != "rnd":
        model.settings["target_learning_rate"] = 1e-12
    seen, hidden_from_env = observations(space, 8, seed=1), observations(space, 8, seed=2)
    if space is VECTOR:
        seen, hidden_from_env = seen + 5.0, hidden_from_env - 5.0
    else:
        seen, hidden_from_env = seen // 4, 255 - hidden_from_env // 4
    before = model.score(seen).mean(), model.score(hidden_from_env).mean()
    for _ in range(150):
        model._distil(model.layout.frames(seen, model.device))
    after = model.score(seen).mean(), model.score(hidden_from_env).mean()
    assert after[0] < 0.3 * before[0]
    assert after[0] / before[0] < 0.5 * after[1] / before[1]


@pytest.mark.parametrize("kind", CND_LOSSES)
def test_contrastive_training_lowers_its_loss(kind):
    model = make(kind, IMAGE, pairs=16, target_learning_rate=1e-3, batch_size=32)
    batch = observations(IMAGE, 32, seed=3)
    first = np.mean([model.update(batch, batch)["contrastive_loss"] for _ in range(5)])
    for _ in range(40):
        model.update(batch, batch)
    last = np.mean([model.update(batch, batch)["contrastive_loss"] for _ in range(5)])
    assert last < first


def test_the_target_of_rnd_never_changes_and_that_of_cnd_does():
    for kind, changes in (("rnd", False), ("mse", True)):
        model = make(kind)
        before = [parameter.clone() for parameter in model.target.parameters()]
        model.update(observations(VECTOR, 16))
        after = model.target.parameters()
        assert (not all(map(torch.equal, before, after))) == changes


def test_distillation_does_not_train_the_target():
    model = make("mse")
    before = [parameter.clone() for parameter in model.target.parameters()]
    model._distil(torch.randn(16, 4))
    assert all(map(torch.equal, before, model.target.parameters()))


@pytest.mark.parametrize("fraction", [0.25, 1.0])
def test_the_predictor_trains_on_its_share_of_the_samples(fraction, monkeypatch):
    model = make("rnd", train_fraction=fraction)
    sizes = []
    forward = model.predictor.forward
    monkeypatch.setattr(model.predictor, "forward", lambda x: sizes.append(len(x)) or forward(x))
    model.update(observations(VECTOR, 8))
    assert sizes == [int(8 * fraction)]


def test_feature_mask_keeps_the_mean_over_the_kept_elements():
    model = make("mse", distil_mask="feature", train_fraction=1.0)
    frames = torch.randn(8, 4)
    with torch.no_grad():
        inputs = model._normalize(frames)
        expected = (model.predictor(inputs) - model.target(inputs)).square().mean()
    assert model._distil(frames).item() == pytest.approx(expected.item(), rel=1e-6)


def test_feature_mask_keeps_a_share_of_elements_of_all_samples():
    torch.manual_seed(0)
    model = make("mse", distil_mask="feature", train_fraction=0.25, features=1024)
    inputs = torch.randn(8, 4)
    model._optimizers["predictor"] = torch.optim.SGD(model.predictor.parameters(), lr=0.0)
    model._distil(inputs)
    bias_gradient = model.predictor.head[-1].bias.grad
    share = float((bias_gradient != 0).float().mean())
    assert share == pytest.approx(1 - 0.75**8, abs=0.03)


def test_warm_up_earns_nothing_and_sets_the_moments():
    model = make("rnd", warmup_steps=3)
    model.open_streams(3)
    bonuses = drive(model, 5)
    assert (bonuses[:3] == 0).all()
    assert (bonuses[3:] > 0).all()
    seen = np.concatenate([observations(VECTOR, 3, step) for step in range(3)])
    np.testing.assert_allclose(model._normalize._moments.mean, seen.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(model._normalize._moments.variance, seen.var(axis=0), atol=1e-6)


def test_the_bonus_is_a_fixed_function_between_two_updates():
    model = make("mse", warmup_steps=0)
    model.open_streams(1)
    same = observations(VECTOR, 1, seed=9)
    previous = [float(model.observe(same, np.array([0]))[0]) for _ in range(12)]
    assert len(set(previous[0:4])) == len(set(previous[4:8])) == len(set(previous[8:12])) == 1
    assert previous[0] != previous[4] != previous[8]
    assert model.updates == 3


def test_the_reward_scale_follows_the_published_filter():
    model = make("rnd", warmup_steps=0, reward_discount=0.9, epochs=1)
    model.open_streams(2)
    batches = [observations(VECTOR, 2, step) for step in range(5)]
    errors = [model.score(batch) for batch in batches[:4]]
    for batch in batches[:4]:
        assert (model.observe(batch, np.arange(2)) == 0).all(), "no scale is known yet"
    sums, all_sums = np.zeros(2), []
    for error in errors:
        sums = 0.9 * sums + error
        all_sums.append(sums)
    bonus = model.observe(batches[4], np.arange(2))
    np.testing.assert_allclose(bonus, model.score(batches[4]) / np.std(all_sums), rtol=1e-4)


@pytest.mark.parametrize("kind", ["rnd", *CND_LOSSES])
def test_a_batch_equals_its_observations_one_by_one(kind):
    space = IMAGE if kind == "st_dim" else VECTOR
    together, alone = make(kind, space, update_every=3), make(kind, space, update_every=3)
    together.open_streams(4)
    alone.open_streams(4)
    for step in range(9):
        active = np.array([0, 1, 2, 3]) if step % 4 else np.array([0, 2, 3])  # splits a batch
        batch, before = (
            observations(space, len(active), step),
            observations(space, len(active), -step % 7),
        )
        expected = together.observe(batch, active, before)
        actual = [
            alone.observe(batch[i : i + 1], active[i : i + 1], before[i : i + 1])[0]
            for i in range(len(active))
        ]
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)
    assert together.updates == alone.updates > 0


@pytest.mark.parametrize("kind", ["rnd", *CND_LOSSES])
@pytest.mark.parametrize("cut", [1, 3, 5, 7])
def test_save_and_load_continue_bit_for_bit(kind, cut, tmp_path):
    space = IMAGE if kind == "st_dim" else VECTOR
    straight, first, second = (make(kind, space) for _ in range(3))
    for model in (straight, first, second):
        model.open_streams(3)
    second.update(observations(space, 8, 77), observations(space, 8, 78))
    expected = drive(straight, 12)
    for step in range(cut):
        first.observe(
            observations(space, 3, step), np.arange(3), observations(space, 3, step + 500)
        )
    first.save(tmp_path / "model.safetensors")
    second.load(tmp_path / "model.safetensors")
    actual = [
        second.observe(
            observations(space, 3, step), np.arange(3), observations(space, 3, step + 500)
        )
        for step in range(cut, 12)
    ]
    np.testing.assert_array_equal(np.array(actual), expected[cut:])
    assert second.losses == straight.losses


@given(st.integers(0, 2**64), st.sampled_from(["rnd", "mse"]))
def test_the_same_seed_gives_the_same_model(seed, kind):
    settings = {"seed": seed, "features": 4, "hidden": 4}
    first, second = make(kind, **settings), make(kind, **settings)
    batch = observations(VECTOR, 4)
    np.testing.assert_array_equal(first.score(batch), second.score(batch))


@pytest.mark.parametrize("kind", ["rnd", *CND_LOSSES])
def test_bfloat16_is_close_to_float32_and_trains(kind):
    exact, half = (make(kind, IMAGE, precision=name) for name in ("float32", "bfloat16"))
    batch = observations(IMAGE, 8)
    assert half.score(batch).dtype == np.float32
    np.testing.assert_allclose(half.score(batch), exact.score(batch), rtol=0.1)
    losses = half.update(batch, batch)
    assert losses["distillation_loss"] == pytest.approx(
        exact.update(batch, batch)["distillation_loss"], rel=0.1
    )
    assert {parameter.dtype for parameter in half.predictor.parameters()} == {torch.float32}


def test_reseed_changes_only_a_model_that_knows_nothing():
    model = make("rnd", seed=None)
    model.open_streams(3)
    model.reseed(1)
    first = model.score(observations(VECTOR, 3))
    model.reseed(1)
    np.testing.assert_array_equal(model.score(observations(VECTOR, 3)), first)
    drive(model, 1)
    model.reseed(2)
    np.testing.assert_array_equal(model.score(observations(VECTOR, 3)), first)


def test_building_a_model_leaves_the_global_generators_alone(monkeypatch):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("seeded GPUs"))
    make("mse")
    assert torch.equal(torch.rand(1), expected)


def test_frozen_models_score_and_learn_nothing():
    model = make("mse")
    model.open_streams(3)
    drive(model, 4)
    before = model.state_dict()
    model.training = False
    bonuses = drive(model, 20)
    assert (bonuses > 0).all()
    after = model.state_dict()
    assert before["updates"] == after["updates"]
    assert len(before["rollout"]["frames"]) == len(after["rollout"]["frames"])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("kind", ["rnd", *CND_LOSSES])
def test_models_learn_the_same_inside_modes_without_gradients(kind, mode):
    space = IMAGE if kind == "st_dim" else VECTOR

    def live():
        model, batch = make(kind, space), observations(space, 8)
        model.open_streams(3)
        drive(model, 7)
        model.update(torch.as_tensor(batch), torch.as_tensor(batch))
        again = make(kind, space, seed=None)
        again.reseed(1)
        again.load_state_dict(model.state_dict())
        return again

    with mode():
        inside = live()
    outside = live()
    assert inside.updates > 1
    np.testing.assert_array_equal(drive(inside, 7), drive(outside, 7))
    with mode():
        drive(inside, 7, seed=1)
    drive(outside, 7, seed=1)
    batch = observations(space, 5)
    np.testing.assert_array_equal(inside.score(batch), outside.score(batch))
    assert inside.losses == outside.losses


def test_nothing_is_learned_from_a_bad_batch():
    model = make("rnd", warmup_steps=0)
    model.open_streams(2)
    batch = observations(VECTOR, 2)
    batch[1, 2] = np.nan
    with pytest.raises(InvalidArgumentError, match="NaN"):
        model.observe(batch, np.arange(2))
    assert len(model._rollout) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"features": 0},
        {"hidden": 0},
        {"hidden": 8.0},
        {"update_every": 8.0},
        {"warmup_steps": 8.0},
        {"learning_rate": 0.0},
        {"learning_rate": -1e-4},
        {"update_every": 0},
        {"epochs": 0},
        {"batch_size": 1},
        {"train_fraction": 0.0},
        {"train_fraction": 1.5},
        {"warmup_steps": -1},
        {"observation_clip": 0.0},
        {"reward_discount": 1.5},
        {"bonus_clip": 0.0},
        {"net": "C"},
        {"precision": "float16"},
        {"learning_rate": float("nan")},
        {"no_such_setting": 1},
    ],
)
@pytest.mark.parametrize("model_class", [RNDModel, CNDModel])
def test_settings_out_of_range_are_refused_by_name(model_class, settings):
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        model_class(VECTOR, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"contrastive_loss": "triplet"},
        {"pairs": 1},
        {"pairs": 8.0},
        {"noise": -0.1},
        {"target_learning_rate": 0.0},
        {"distil_mask": "pixel"},
        {"feature_guard": 0.0},
    ],
)
def test_settings_of_cnd_out_of_range_are_refused_by_name(settings):
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        CNDModel(VECTOR, **settings)


def test_st_dim_needs_images():
    with pytest.raises(InvalidArgumentError, match="st_dim"):
        CNDModel(VECTOR, contrastive_loss="st_dim")


@pytest.mark.parametrize("kind", ["vicreg", "st_dim"])
def test_losses_on_successive_states_ask_for_them(kind):
    model = make(kind, IMAGE)
    with pytest.raises(InvalidArgumentError, match="previous"):
        model.update(observations(IMAGE, 4))


@pytest.mark.parametrize("update_every", [4, 2])
def test_what_many_streams_collected_is_trained_on_by_fewer(update_every):
    many, one = make("rnd", update_every=4), make("rnd", update_every=update_every)
    many.open_streams(3)
    drive(many, 5)  # two of warm-up, and three of the four until a training
    one.load_state_dict(many.state_dict())
    one.open_streams(1)
    drive(one, 3 if update_every == 4 else 1, seed=1, streams=1)
    assert (one.updates, len(one._rollout)) == (1, 0)
    drive(one, update_every, seed=2, streams=1)
    assert (one.updates, len(one._rollout)) == (2, 0)


def test_environments_that_are_gone_do_not_put_trainings_off():
    model = make("rnd", warmup_steps=2, update_every=4)
    for _ in range(3):
        streams, before = model.open_streams(2), model.updates
        model.open_streams(1)  # of an environment that is never stepped
        for step in range(18):
            model.observe(observations(VECTOR, 2, seed=step), streams)
        assert model.updates - before >= 4


def test_training_directly_standardises_pictures():
    space = spaces.Box(0, 255, (40, 40), np.uint8)
    model = RNDModel(space, device="cpu", seed=0)
    dark = np.random.default_rng(0).integers(10, 30, (64, 40, 40)).astype(np.uint8)
    for _ in range(10):
        model.update(dark)
    noise = np.random.default_rng(1).integers(0, 256, (4, 40, 40)).astype(np.uint8)
    assert len(set(model.score(noise).tolist())) == 4
    assert model.score(noise).min() > 2 * model.score(dark).max()


def test_a_model_of_a_machine_with_a_gpu_loads_on_one_without(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = make("rnd")
    model.settings["device"] = "cuda"
    assert model_from_state(model.state_dict(), VECTOR).device.type == "cpu"


def test_a_warm_up_of_one_step_gives_no_huge_bonuses():
    model = make("rnd", warmup_steps=1)
    model.open_streams(1)
    bonuses = drive(model, 20, streams=1)
    assert (bonuses[:5] == 0).all(), "one error has no deviation"
    assert (bonuses[5:] > 0).all()
    assert bonuses.max() < 100


@pytest.mark.parametrize("space", [VECTOR, IMAGE])
def test_an_empty_batch_has_no_scores_and_no_features(space):
    model, nothing = make("mse", space), observations(space, 0)
    assert model.score(nothing).shape == model.bonus(nothing).shape == (0,)
    assert model.features(nothing).shape == (0, 16)
    assert model.observe(nothing, np.arange(0)).shape == (0,)


@pytest.mark.parametrize("model_class", [RNDModel, CNDModel])
@pytest.mark.parametrize(("space", "width"), [(VECTOR, 128), (IMAGE, 512)])
def test_nets_of_vectors_are_smaller_than_those_of_images(model_class, space, width):
    model = model_class(space, seed=0)
    assert model.features(observations(space, 2)).shape == (2, width)
    assert model.settings["features"] == width  # as it is saved
    own = model_class(space, features=7, seed=0)
    assert own.features(observations(space, 2)).shape == (2, 7)
