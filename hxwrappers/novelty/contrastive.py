"""Losses that train the target network of contrastive network distillation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import cross_entropy


def pair_distance(first: Tensor, second: Tensor, different: Tensor) -> Tensor:
    """Pull views of one observation together and push two observations to distance one.

    With `d = mean((first - second)^2)` over the features, the loss is `mean((different - d)^2)`:
    the loss "mse" of CND, SND-V of Pechac et al. 2023 (arXiv 2302.11563).

    Args:
        first: Features, shape `(batch, features)`.
        second: Features, shape `(batch, features)`.
        different: 1 where the two are different observations and 0 where they are views of one,
            shape `(batch,)`.

    Example:
        >>> z = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
        >>> other = torch.tensor([[1.0, 1.0], [0.0, 2.0]])  # distances 1 and 2
        >>> pair_distance(z, other, torch.tensor([1.0, 0.0])).item()
        2.0
    """
    distance = (first - second).square().mean(dim=-1)
    return (different - distance).square().mean()


def feature_guard(first: Tensor, second: Tensor, limit: float = 200.0) -> Tensor:
    """Zero until the features explode: `relu(mean(first^2) + mean(second^2) - limit)`.

    Example:
        >>> z = torch.full((4, 8), 11.0)
        >>> feature_guard(z, z).item()
        42.0
    """
    return functional.relu(first.square().mean() + second.square().mean() - limit)


def info_nce(first: Tensor, second: Tensor) -> Tensor:
    """InfoNCE as in CND's code: each view must find its other view in the batch.

    The similarities are correlations: features standardised over the batch, multiplied, and
    averaged over the features.

    Args:
        first: Features of one view, shape `(batch, features)`, batch of two or more.
        second: Features of the other view, row by row of the same observations.

    Example:
        >>> z = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # standardised: +-0.7071
        >>> round(info_nce(z, z).item(), 4)  # log(1 + 1/e)
        0.3133
    """
    standardised = [
        (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-12)
        for features in (first, second)
    ]
    logits = standardised[0] @ standardised[1].T / first.shape[1]
    return cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def vicreg(
    first: Tensor,
    second: Tensor,
    *,
    variance_weight: float = 1.0,
    invariance_weight: float = 1.0,
    covariance_weight: float = 1.0 / 25.0,
) -> Tensor:
    """Variance-invariance-covariance regularisation, with the weights of SND-VIC.

    The variance term keeps the standard deviation of every feature over the batch above one, the
    invariance term is the mean squared difference of the views, and the covariance term is the
    sum of squared off-diagonal covariances divided by the number of features (Bardes et al. 2022,
    arXiv 2105.04906, section 4.1).

    Args:
        first: Features of one view, shape `(batch, features)`, batch of two or more.
        second: Features of the other view.
        variance_weight: Weight of the variance term.
        invariance_weight: Weight of the invariance term.
        covariance_weight: Weight of the covariance term.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [-2.0, 0.0]])
        >>> round(vicreg(z, z, covariance_weight=0.0).item(), 2)  # one dead feature, twice
        0.99
    """
    invariance = functional.mse_loss(first, second)
    variance = torch.zeros((), device=first.device)
    covariance = torch.zeros((), device=first.device)
    for features in (first, second):
        deviation = (features.var(dim=0) + 1e-4).sqrt()
        variance = variance + functional.relu(1.0 - deviation).mean()
        centred = features - features.mean(dim=0)
        products = centred.T @ centred / (len(features) - 1)
        off_diagonal = products.square().sum() - products.diagonal().square().sum()
        covariance = covariance + off_diagonal / features.shape[1]
    return (
        variance_weight * variance + invariance_weight * invariance + covariance_weight * covariance
    )


class SpatioTemporalInfoMax(nn.Module):
    """ST-DIM: the next state's local features must be told apart from those of other states.

    Two InfoNCE terms, averaged over the positions of the feature map: the global features of a
    state against the local features of its successor, and local against local at the same place,
    both through a learned bilinear map (Anand et al. 2019, arXiv 1906.08226, section 3; SND-STD).

    Args:
        features: Size of the global features.
        channels: Channels of the local feature map.

    Example:
        >>> loss = SpatioTemporalInfoMax(features=8, channels=4)
        >>> value = loss(torch.randn(5, 8), torch.randn(5, 4, 3, 3), torch.randn(5, 4, 3, 3))
        >>> value.shape
        torch.Size([])
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.global_map = nn.Linear(features, channels, bias=False)
        self.local_map = nn.Linear(channels, channels, bias=False)

    def forward(self, features: Tensor, local: Tensor, next_local: Tensor) -> Tensor:
        """The loss.

        Args:
            features: Global features of the states, shape `(batch, features)`.
            local: Local features of the states, shape `(batch, channels, rows, columns)`.
            next_local: Local features of their successors, same shape.
        """
        current = local.flatten(2).permute(2, 0, 1)
        following = next_local.flatten(2).permute(2, 0, 1)
        positions, batch, _ = following.shape
        labels = torch.arange(batch, device=local.device).repeat(positions)
        global_logits = self.global_map(features) @ following.transpose(1, 2)
        local_logits = self.local_map(current) @ following.transpose(1, 2)
        return cross_entropy(global_logits.flatten(0, 1), labels) + cross_entropy(
            local_logits.flatten(0, 1), labels
        )


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
