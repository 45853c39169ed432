"""Inputs of the novelty networks by hand: standardised and clipped, or scaled by the bounds."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.novelty.moments import InputNormalizer
from hxwrappers.novelty.observations import ObservationLayout

CPU = torch.device("cpu")


def normalizer(space: spaces.Box, standardize: bool, clip: float = 5.0) -> InputNormalizer:
    return InputNormalizer(ObservationLayout.of(space), standardize, clip, CPU)


@pytest.mark.parametrize(
    ("clip", "expected"), [(1.0, [-1, -1, 0, 0.5, 1]), (5.0, [-5, -3, 0, 0.5, 5])]
)
def test_inputs_are_standardised_and_clipped_on_both_sides(clip, expected):
    inputs = normalizer(spaces.Box(-np.inf, np.inf, (1,)), True, clip)
    inputs.update(torch.tensor([[1.0], [5.0]]))  # mean 3, deviation 2
    seen = inputs(torch.tensor([[-97.0], [-3.0], [3.0], [4.0], [103.0]]))
    np.testing.assert_allclose(seen.ravel(), expected, rtol=1e-6)


def test_large_numbers_of_double_precision_are_told_apart():
    inputs = normalizer(spaces.Box(-np.inf, np.inf, (1,), np.float64), True)
    far = 1.7e9 + torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    inputs.update(far)
    np.testing.assert_allclose(inputs(far).ravel(), [-1, 1], rtol=1e-6)


def test_each_element_is_scaled_by_its_own_bounds():
    most = np.finfo(np.float32).max
    low, high = (np.array(bound, np.float32) for bound in ([-1, 0, -most], [1, 1e5, most]))
    space = spaces.Box(low, high)
    seen = normalizer(space, False)(torch.tensor([[0.0, 5e4, 3.0]]))
    np.testing.assert_allclose(seen.ravel(), [0.5, 0.5, 3.0])


def test_what_never_changed_counts_once_it_does():
    inputs = normalizer(spaces.Box(0, 255, (1,), np.uint8), True)
    inputs.update(torch.full((4, 1), 7, dtype=torch.uint8))
    assert inputs(torch.tensor([[7], [8], [6]], dtype=torch.uint8)).ravel().tolist() == [0, 5, -5]


def test_without_moments_bounds_scale_and_nothing_is_clipped():
    pixels = normalizer(spaces.Box(0, 255, (1,), np.uint8), False)
    pixels.update(torch.full((4, 1), 9, dtype=torch.uint8))
    seen = pixels(torch.tensor([[0], [51], [255]], dtype=torch.uint8))
    np.testing.assert_allclose(seen.ravel(), [0, 0.2, 1], rtol=1e-6)
    free = normalizer(spaces.Box(-np.inf, np.inf, (1,)), False, clip=1.0)
    assert free(torch.tensor([[-30.0], [40.0]])).ravel().tolist() == [-30, 40]


def test_images_have_their_channels_last_in_memory():
    inputs = normalizer(spaces.Box(0, 255, (4, 40, 48), np.uint8), True)
    seen = inputs(torch.zeros(2, 1, 40, 48, dtype=torch.uint8))
    assert seen.dtype == torch.float32
    assert seen.is_contiguous(memory_format=torch.channels_last)
