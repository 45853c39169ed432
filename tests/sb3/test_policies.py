"""Features extractors."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.policies import CompactCNN

FRAMES = spaces.Box(0, 255, (4, 84, 84), np.uint8)


def test_sizes_are_those_of_the_paper():
    network = CompactCNN(FRAMES)
    # 16 filters of 8x8x4, 32 of 4x4x16, 9x9 places of 32 channels into 256; a bias for each.
    assert sum(item.numel() for item in network.parameters()) == (
        16 * (8 * 8 * 4 + 1) + 32 * (4 * 4 * 16 + 1) + 256 * (9 * 9 * 32 + 1)
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_precisions_agree_and_learn_in_float32(precision):
    torch.manual_seed(0)
    exact = CompactCNN(FRAMES, precision="float32")
    network = CompactCNN(FRAMES, precision=precision)
    network.load_state_dict(exact.state_dict())
    frames = torch.rand(3, 4, 84, 84)
    features = network(frames)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, exact(frames), atol=0.01, rtol=0.05)
    features.sum().backward()
    assert all(item.grad.dtype == torch.float32 for item in network.parameters())
    assert all(item.grad.abs().sum() > 0 for item in network.parameters())


def test_smallest_images():
    assert CompactCNN(spaces.Box(0, 255, (1, 14, 14), np.uint8), 8)(
        torch.zeros(2, 1, 14, 14)
    ).shape == (2, 8)


@pytest.mark.parametrize(
    ("side", "kernel"), [(84, (8, 8)), (64, (8, 8)), (63, (5, 5)), (42, (5, 5))]
)
def test_small_images_get_small_filters(side, kernel):
    space = spaces.Box(0, 255, (4, side, side), np.uint8)
    first = next(CompactCNN(space).parameters())
    assert first.shape == (16, 4, *kernel)


@pytest.mark.parametrize("shape", [(4,), (4, 13, 84), (84, 84, 4)])
def test_not_images(shape):
    with pytest.raises(InvalidArgumentError, match="images"):
        CompactCNN(spaces.Box(0, 255, shape, np.uint8))


def test_unknown_precision():
    with pytest.raises(InvalidArgumentError, match="float16"):
        CompactCNN(FRAMES, precision="float16")
