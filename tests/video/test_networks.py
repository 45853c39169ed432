"""The networks have the published sizes, counted by hand."""

import itertools

import pytest
import torch

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.video.networks import Architecture, AudioNet, PairClassifier, VisualNet


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_phi_has_the_published_sizes():
    convolutions = 9 * (12 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 64 + 64)
    residual = 3 * 2 * (9 * 64 * 64 + 2 * 64)
    mlp = (64 * 16 * 16) * 1024 + 2 * 1024 + (1024 * 1024 + 1024)
    assert parameters(VisualNet(Architecture())) == convolutions + residual + mlp


def test_psi_has_the_published_sizes():
    widths = [256, 32, 64, 128, 256]
    convolutions = sum(8 * a * b + 2 * b for a, b in itertools.pairwise(widths))
    # 137 columns halve to 68, 34, 17 and 8.
    linear = (256 * 8) * 1024 + 1024
    assert parameters(AudioNet(Architecture())) == convolutions + linear


def test_tau_has_the_published_sizes():
    wanted = (1024 * 1024 + 1024) + (1024 * 6 + 6)
    assert parameters(PairClassifier(Architecture(), 6)) == wanted


def test_flattened_features_of_the_paper():
    net = VisualNet(Architecture())
    assert net.maps(torch.zeros(1, 12, 128, 128)).shape == (1, 64, 16, 16)
    assert Architecture().flattened == 64 * 16 * 16


@pytest.mark.parametrize("head", ["linear", "batch_norm", "relu"])
def test_embeddings_have_length_one(head):
    architecture = Architecture(
        frame_size=40, crop_size=32, channels=(4, 8), hidden=16, dimension=64, head=head
    )
    seen = VisualNet(architecture)(torch.randn(6, 12, 32, 32))
    heard = AudioNet(architecture)(torch.randn(6, 256, 137))
    for embeddings in (seen, heard):
        assert embeddings.shape == (6, 64)  # of few dimensions, rectifiers may leave nothing
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(6))
        assert (embeddings.min() >= 0) == (head == "relu")


def test_classifier_multiplies_element_by_element():
    classify = PairClassifier(Architecture(dimension=8, hidden=4, product_scale=8.0), 2)
    first, second = torch.randn(3, 8), torch.randn(3, 8)
    torch.testing.assert_close(classify(first, second), classify.layers(8.0 * first * second))
    torch.testing.assert_close(classify(first, second), classify(second, first))


@pytest.mark.parametrize(
    "sizes",
    [
        {"head": "softmax"},
        {"crop_size": 141},
        {"crop_size": 4, "channels": (4, 4, 4)},
        {"columns": 8},
        {"channels": ()},
        {"hidden": 0},
        {"product_scale": 0.0},
    ],
)
def test_sizes_that_make_no_sense_are_refused(sizes):
    with pytest.raises(InvalidArgumentError):
        Architecture(**sizes)
