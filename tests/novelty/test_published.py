"""Numbers that the published code of RND and CND gives, on inputs made by formulas.

CND: reinforcement_learning (nets, configuration 21 of Montezuma's Revenge) and
reinforcement_learning_agents (losses, moments), both of github.com/michalnand; its functions were
run, in float32. RND: github.com/openai/random-network-distillation; the filter of its rewards was
written down from reading it, and run in float64.
"""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.novelty import (
    PUBLISHED_CND,
    PUBLISHED_CND_PROCGEN,
    PUBLISHED_RND,
    CNDModel,
    RNDModel,
)
from hxwrappers.novelty.contrastive import feature_guard, info_nce, pair_distance, vicreg
from hxwrappers.novelty.moments import InputNormalizer, RewardFilter
from hxwrappers.novelty.observations import ObservationLayout

FIRST = 2 * torch.sin(torch.arange(24.0)).reshape(4, 6)
SECOND = FIRST + 0.5 * torch.cos(3 * torch.arange(24.0)).reshape(4, 6)
DIFFERENT = torch.tensor([0.0, 1.0, 0.0, 1.0])
SMALL = {"features": 8, "hidden": 8, "seed": 0, "device": "cpu"}


def guarded(scale: float) -> torch.Tensor:
    first, second = scale * FIRST, scale * SECOND
    return pair_distance(first, second, DIFFERENT) + feature_guard(first, second)


@pytest.mark.parametrize(
    ("loss", "published"),
    [
        (lambda: guarded(1.0), 0.3917548656),
        (lambda: guarded(10.0), 432.4748535),
        (lambda: info_nce(FIRST, SECOND), 0.9586668611),
        (lambda: vicreg(FIRST, SECOND), 1.1642589569),
    ],
    ids=["mse", "mse, large features", "nce", "vicreg"],
)
def test_contrastive_losses(loss, published):
    assert loss().item() == pytest.approx(published, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "guard"), [("mse", 200.0), ("nce", None), ("vicreg", None), ("st_dim", None)]
)
def test_which_losses_have_a_guard(loss, guard):
    space = spaces.Box(0, 255, (1, 40, 40), np.uint8)
    assert CNDModel(space, contrastive_loss=loss, **SMALL).settings["feature_guard"] == guard
    given = CNDModel(space, contrastive_loss=loss, feature_guard=7.0, **SMALL)
    assert given.settings["feature_guard"] == 7.0


def test_the_scale_of_rnds_rewards_after_each_rollout():
    reward_filter, scales = RewardFilter(0.99), []
    for rollout in range(3):  # of 16 steps of 3 environments
        rewards = np.abs(np.sin(np.arange(48.0) + rollout)).reshape(3, 16)
        for step in rewards.T:
            reward_filter.advance(np.arange(3), torch.from_numpy(step.copy()))
        reward_filter.commit()
        scales.append(reward_filter.scale)
    assert scales == pytest.approx([2.7294118813, 5.0836673182, 6.9527077655], rel=1e-5)


def test_cnds_moments_have_a_floor():
    batches = np.abs(np.sin(np.arange(30.0))).reshape(5, 2, 3).astype(np.float32)
    batches[:, :, 2] = 0.5  # an element that never changes
    layout = ObservationLayout.of(spaces.Box(0, 1, (3,)))
    device = torch.device("cpu")
    floor = PUBLISHED_CND["deviation_floor"] / 255  # for frames from 0 to 1
    normalize = InputNormalizer(layout, True, 1.0, device, floor)
    for batch in batches:
        normalize.update(torch.from_numpy(batch))
    assert normalize._moments.mean.tolist() == pytest.approx([0.54691118, 0.40693375, 0.5])
    assert (1 / normalize._scale).tolist() == pytest.approx(
        [0.31403783, 0.26932135, 0.03162278], rel=1e-4
    )
    expected = [[1.0, -1.0, 0.0], [1.0, -0.50507677, 0.0]]
    np.testing.assert_allclose(normalize(torch.from_numpy(batches[-1])), expected, atol=1e-4)


def fill(network: torch.nn.Module) -> None:
    for number, weights in enumerate(network.parameters(), 1):
        values = 0.1 * torch.sin(torch.arange(weights.numel(), dtype=torch.float32) * number)
        weights.data.copy_(values.reshape(weights.shape))


def test_the_score_of_cnds_networks():
    space = spaces.Box(0, 1, (4, 96, 96))
    settings = {**PUBLISHED_CND, "normalize_observations": False}
    model = CNDModel(space, seed=0, device="cpu", **settings)
    fill(model.predictor)
    fill(model.target)
    frames = np.zeros((3, 4, 96, 96), np.float32)
    wave = torch.sin(torch.arange(3 * 96 * 96, dtype=torch.float32) / 7).abs()
    frames[:, 3] = wave.reshape(3, 96, 96)  # the newest, which lies first there
    published = [0.0300011821, 0.0301161818, 0.0302723162]
    np.testing.assert_allclose(model.score(frames), published, rtol=1e-3)
    assert np.square(model.features(frames)).mean() == pytest.approx(0.0237528011, rel=1e-3)


def test_cnds_bonus_is_that_of_the_observation_before_the_step():
    space = spaces.Box(-1, 1, (3,))
    settings = {**SMALL, "warmup_steps": 0, "scored": "current"}
    now, then = (
        np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32) for seed in (0, 1)
    )
    model = CNDModel(space, **settings)
    expected = model.bonus(now)
    for frozen in (True, False):
        model.training = not frozen
        streams = model.open_streams(4)
        np.testing.assert_allclose(model.observe(then, streams, now), expected, rtol=1e-5)
    assert torch.equal(model._rollout.take()[0], torch.from_numpy(now))


@pytest.mark.parametrize(("loss", "kept"), [("mse", False), ("vicreg", True)])
def test_successive_observations_keep_their_order_whichever_is_scored(loss, kept, monkeypatch):
    space = spaces.Box(-1, 1, (3,))
    now, then = (
        np.random.default_rng(seed).normal(size=(8, 3)).astype(np.float32) for seed in (0, 1)
    )
    features = []
    for scored in ("next", "current"):
        model = CNDModel(space, contrastive_loss=loss, pairs=8, scored=scored, **SMALL)
        frames, others = model._frames_of(then, now)
        np.testing.assert_array_equal(frames, then if scored == "next" else now)
        assert (others is not None) is kept
        if kept:
            calls = []
            monkeypatch.setattr(
                "hxwrappers.novelty.cnd.vicreg",
                lambda *pair, calls=calls: calls.append(pair) or vicreg(*pair),
            )
            model._contrastive_loss(frames, others)
            features.append(calls[0])
    for one, other in zip(*features or ((), ()), strict=True):
        assert one.sum().item() == pytest.approx(other.sum().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        (
            RNDModel,
            PUBLISHED_RND,
            {
                "warmup_steps": 6400,
                "epochs": 4,
                "minibatches": 4,
                "batch_size": None,
                "train_fraction": None,
                "learning_rate": 1e-4,
                "observation_clip": 5.0,
                "reward_discount": 0.99,
                "bonus_clip": None,
            },
        ),
        (
            CNDModel,
            PUBLISHED_CND,
            {
                "net": "B",
                "warmup_steps": 256,
                "epochs": 4,
                "batch_size": 512,
                "pairs": 64,
                "distil_mask": "feature",
                "train_fraction": 0.25,
                "observation_clip": 1.0,
                "contrastive_loss": "mse",
                "bonus_clip": 2.0,  # of the score; one of the bonus after the coefficient of 0.5
                "scored": "current",
                "normalize_reward": False,
            },
        ),
        (
            CNDModel,
            PUBLISHED_CND_PROCGEN,
            {"net": "B", "normalize_observations": False, "train_fraction": 1.0},
        ),
    ],
)
def test_settings_of_the_published_configurations(kind, settings, expected):
    model = kind(spaces.Box(0, 255, (4, 84, 84), np.uint8), seed=0, device="cpu", **settings)
    assert {name: model.settings[name] for name in expected} == expected
