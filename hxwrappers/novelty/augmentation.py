"""Augmentations of the contrastive target: tile masks and uniform noise (CND's reference code)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["TILE_SIZES", "augment", "tile_mask"]

TILE_SIZES = (1, 2, 4, 8, 12, 16)


def tile_mask(
    frames: Tensor,
    generator: torch.Generator,
    *,
    probability: float = 0.5,
    tile_fraction: float = 0.1,
) -> Tensor:
    """Zero random square tiles of some of the frames.

    One tile size out of 1, 2, 4, 8, 12 and 16 pixels holds for the whole call. Where it does not
    divide a side, the last tiles are cut off by the edge. A vector has tiles of one element.

    Args:
        frames: Normalised frames, `(batch, channels, height, width)` or vectors `(batch, size)`.
        generator: Source of randomness, on the device of the frames.
        probability: Chance of a frame to be masked at all.
        tile_fraction: Chance of a tile of a masked frame to be zeroed.

    Returns:
        Frames of the same shape; all channels of a pixel are masked together.

    Example:
        >>> frames = torch.ones(8, 1, 64, 64)
        >>> masked = tile_mask(frames, torch.Generator().manual_seed(0), probability=1.0)
        >>> bool(0.8 < masked.mean() < 1.0)
        True
    """
    device = frames.device
    masked = torch.rand(len(frames), generator=generator, device=device) < probability
    if frames.ndim == 2:
        tiles = torch.rand(frames.shape, generator=generator, device=device) < tile_fraction
        return frames.masked_fill(tiles & masked[:, None], 0.0)
    height, width = frames.shape[-2:]
    choice = torch.randint(len(TILE_SIZES), (), generator=generator, device=device)
    size = TILE_SIZES[int(choice)]
    rows, columns = -(-height // size), -(-width // size)
    tiles = torch.rand((len(frames), 1, rows, columns), generator=generator, device=device)
    zeroed = (tiles < tile_fraction) & masked[:, None, None, None]
    pixels = zeroed.repeat_interleave(size, dim=2).repeat_interleave(size, dim=3)
    return frames.masked_fill(pixels[:, :, :height, :width], 0.0)


def augment(frames: Tensor, generator: torch.Generator, *, noise: float = 0.2) -> Tensor:
    """Tile mask with probability one half, then uniform noise of amplitude `noise` with another.

    Args:
        frames: Normalised frames, `(batch, channels, height, width)` or vectors `(batch, size)`.
        generator: Source of randomness, on the device of the frames.
        noise: Amplitude of the noise.

    Returns:
        Frames of the same shape and dtype.

    Example:
        >>> frames = torch.zeros(2, 1, 8, 8)
        >>> augmented = augment(frames, torch.Generator().manual_seed(0))
        >>> bool((augmented.abs() <= 0.2).all())
        True
    """
    masked = tile_mask(frames, generator)
    noisy = torch.rand(len(frames), generator=generator, device=frames.device) < 0.5
    amplitude = (noisy * noise).reshape(-1, *[1] * (frames.ndim - 1))
    uniform = torch.rand(frames.shape, generator=generator, device=frames.device)
    return masked + (2.0 * uniform - 1.0) * amplitude
