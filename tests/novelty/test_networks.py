"""The published networks, layer by layer."""

import math

import pytest
import torch
from torch import nn

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.networks import build_predictor, build_target, orthogonal_init

FRAMES = {"rnd": (1, 84, 84), "A": (1, 96, 96), "B": (1, 96, 96)}
# Channels, kernel, stride and padding of each convolution, and what they leave.
TRUNKS = {
    "rnd": ([(32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)], 64 * 7 * 7, nn.LeakyReLU),
    "A": ([(32, 8, 4, 2), (64, 3, 2, 1), (64, 3, 1, 1)], 64 * 12 * 12, nn.ELU),
    "B": ([(16, 3, 2, 1), (32, 3, 2, 1), (64, 3, 2, 1), (64, 3, 1, 1)], 9216, nn.ELU),
}


@pytest.mark.parametrize("net", list(TRUNKS))
def test_layers_are_the_published_ones(net):
    convolutions, flattened, activation = TRUNKS[net]
    target, predictor = (
        build(net, FRAMES[net], 512, 9) for build in (build_target, build_predictor)
    )
    for trunk in (target.trunk, predictor.trunk):
        found = [
            (each.out_channels, each.kernel_size[0], each.stride[0], each.padding[0])
            for each in trunk
            if isinstance(each, nn.Conv2d)
        ]
        assert found == convolutions
        assert [type(each) for each in trunk[1::2]] == [activation] * len(convolutions)
    assert (target.head.in_features, target.head.out_features) == (flattened, 512)
    sizes = [(each.in_features, each.out_features) for each in predictor.head[::2]]
    assert sizes == [(flattened, 512), (512, 512), (512, 512)]
    between = nn.ReLU if net == "rnd" else nn.ELU
    assert [type(each) for each in predictor.head[1::2]] == [between] * 2


def test_the_slope_of_rnd_is_a_fifth():
    (slope,) = {
        each.negative_slope
        for each in build_target("rnd", FRAMES["rnd"], 4, 4).modules()
        if isinstance(each, nn.LeakyReLU)
    }
    assert slope == 0.2


@pytest.mark.parametrize("frame_shape", [(1, 40, 40), (5,)])
def test_weights_are_orthogonal_with_a_gain_of_the_root_of_two(frame_shape):
    network = build_predictor("B", frame_shape, 8, 8)
    orthogonal_init(network)
    layers = [each for each in network.modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    for layer in layers:
        stretch = torch.linalg.svdvals(layer.weight.detach().flatten(1))
        assert torch.allclose(stretch, torch.full_like(stretch, math.sqrt(2)), rtol=1e-4)
        assert not layer.bias.any()


def test_there_is_no_other_net():
    with pytest.raises(InvalidArgumentError, match=r"'C'.*'A', 'B', 'compact', 'rnd'"):
        build_target("C", (3,), 4, 4)
