"""The contrastive losses, worked out by hand."""

import math

import pytest
import torch

from hxwrappers.novelty.contrastive import (
    SpatioTemporalInfoMax,
    feature_guard,
    info_nce,
    pair_distance,
    vicreg,
)


def test_pair_distance_is_zero_for_equal_views_and_far_others():
    first = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    second = torch.tensor([[1.0, 2.0], [1.0, -1.0]])  # distances 0 and 1
    assert pair_distance(first, second, torch.tensor([0.0, 1.0])).item() == 0.0


def test_pair_distance_by_hand():
    first = torch.zeros(3, 2)
    second = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])  # distances 2, 1, 0
    loss = pair_distance(first, second, torch.tensor([0.0, 1.0, 1.0]))
    assert loss.item() == pytest.approx((4 + 0 + 1) / 3)


def test_feature_guard_by_hand():
    first, second = torch.full((2, 2), 10.0), torch.full((2, 2), 11.0)  # 100 + 121 - 200
    assert feature_guard(first, second, 200.0).item() == pytest.approx(21.0)
    assert feature_guard(first, second, 300.0).item() == 0.0


def test_info_nce_by_hand():
    # standardised over the batch +-0.7071; correlations 0.5 and -0.5, so -log(e / (e + 1)) for each
    views = torch.tensor([[3.0, 0.0], [0.0, 5.0]])
    expected = -math.log(math.e / (math.e + 1))
    assert info_nce(views, views).item() == pytest.approx(expected, rel=1e-5)


def test_info_nce_of_swapped_views_is_larger():
    views = torch.eye(4)
    assert info_nce(views, views.roll(1, 0)) > info_nce(views, views) + 0.9


def test_vicreg_by_hand():
    first = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    second = first + torch.tensor([1.0, 0.0])
    # invariance: mean of (1, 0, 1, 0) = 0.5; variance: std sqrt(2) > 1, so 0;
    # covariance: off-diagonal 2 twice, squared and summed 8, over 2 features = 4, for each view
    assert vicreg(
        first, second, variance_weight=7.0, invariance_weight=3.0, covariance_weight=0.5
    ).item() == pytest.approx(3.0 * 0.5 + 0.5 * 8.0)


def test_vicreg_variance_term_by_hand():
    collapsed = torch.zeros(4, 3)
    # every deviation is sqrt(1e-4) = 0.01, so relu(1 - 0.01) for each of the two views
    assert vicreg(collapsed, collapsed).item() == pytest.approx(2 * 0.99)


def test_st_dim_by_hand():
    loss = SpatioTemporalInfoMax(features=1, channels=1)
    torch.nn.init.ones_(loss.global_map.weight)
    torch.nn.init.ones_(loss.local_map.weight)
    features = torch.tensor([[1.0], [0.0]])
    local = torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)
    following = torch.tensor([2.0, 0.0]).reshape(2, 1, 1, 1)
    # logits (rows: states): [[2, 0], [0, 0]]; both terms are equal here
    expected = 0.5 * (-math.log(math.exp(2) / (math.exp(2) + 1)) + math.log(2))
    assert loss(features, local, following).item() == pytest.approx(2 * expected, rel=1e-5)


def test_st_dim_averages_over_positions():
    torch.manual_seed(0)
    loss = SpatioTemporalInfoMax(features=5, channels=3)
    features = torch.randn(4, 5)
    local, following = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    parts = [
        loss(
            features,
            local[:, :, row : row + 1, column : column + 1],
            following[:, :, row : row + 1, column : column + 1],
        )
        for row in range(2)
        for column in range(2)
    ]
    assert loss(features, local, following).item() == pytest.approx(
        torch.stack(parts).mean().item(), rel=1e-5
    )
