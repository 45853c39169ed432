"""Tile masks and noise."""

import pytest
import torch

from hxwrappers.novelty.contrastive import TILE_SIZES, augment, tile_mask


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(32, 1, 96, 96), (32, 3, 64, 64), (32, 2, 37, 50)])
def test_masked_tiles_are_whole_and_their_share_is_right(shape):
    sizes, shares = set(), []
    for seed in range(24):
        masked = tile_mask(torch.ones(shape), seeded(seed), probability=1.0)
        assert masked.shape == shape
        zeros = masked == 0
        assert (zeros.all(dim=1) | ~zeros.any(dim=1)).all(), "channels are masked together"
        for size in sorted(TILE_SIZES, reverse=True):
            height, width = shape[2] // size * size, shape[3] // size * size
            whole = zeros[:, 0, :height, :width].unfold(1, size, size).unfold(2, size, size)
            if bool((whole.all(dim=(3, 4)) | ~whole.any(dim=(3, 4))).all()):
                sizes.add(size)
                break
        shares.append(float(zeros.float().mean()))
    assert sizes == set(TILE_SIZES)
    assert sum(shares) / len(shares) == pytest.approx(0.1, abs=0.015)


def test_half_of_the_frames_are_masked():
    masked = tile_mask(torch.ones(2000, 1, 16, 16), seeded(1), tile_fraction=1.0)
    touched = (masked == 0).flatten(1).any(dim=1).float().mean()
    assert float(touched) == pytest.approx(0.5, abs=0.05)


def test_noise_is_uniform_and_independent_on_half_of_the_inputs():
    noise = augment(torch.zeros(400, 1, 16, 16), seeded(2))
    noisy = noise[(noise != 0).flatten(1).any(dim=1)]
    assert len(noisy) / len(noise) == pytest.approx(0.5, abs=0.08)
    assert float(noisy.abs().max()) <= 0.2
    assert float(noisy.mean()) == pytest.approx(0.0, abs=0.005)
    assert float(noisy.std()) == pytest.approx(0.2 / 3**0.5, abs=0.005)


def test_vectors_lose_single_elements():
    masked = tile_mask(torch.ones(2000, 50), seeded(3), probability=1.0)
    assert float((masked == 0).float().mean()) == pytest.approx(0.1, abs=0.01)


def test_the_same_generator_state_gives_the_same_views():
    frames = torch.rand(3, 1, 48, 48)
    assert torch.equal(augment(frames, seeded(5)), augment(frames, seeded(5)))
