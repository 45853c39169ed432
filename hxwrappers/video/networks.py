"""The networks of the embedding: phi for frames, psi for sound, tau for pairs of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hxwrappers.video.architecture import Architecture

__all__ = ["AudioNet", "PairClassifier", "VisualNet"]


class VisualNet(nn.Module):
    """phi: stacks of frames to embeddings of length one.

    3x3 convolutions with max-pooling, residual blocks without, batch norm and ReLU on each, and an
    MLP of two layers (Aytar et al. 2018, section 3).

    Args:
        architecture: The sizes.

    Example:
        >>> net = VisualNet(Architecture())
        >>> net(torch.zeros(2, 12, 128, 128)).shape
        torch.Size([2, 1024])
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3 * architecture.history
        for channels in architecture.channels:
            layers += [*_convolution(width, channels), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            width = channels
        layers += [_ResidualBlock(width) for _ in range(architecture.blocks)]
        self.convolutions = nn.Sequential(*layers)
        self.mlp = nn.Sequential(
            nn.Linear(architecture.flattened, architecture.hidden, bias=False),
            nn.BatchNorm1d(architecture.hidden),
            nn.ReLU(inplace=True),
            *_head(architecture.hidden, architecture),
        )

    def forward(self, stacks: Tensor) -> Tensor:
        """Embeddings `(batch, dimension)` of stacks `(batch, 3 * history, side, side)`."""
        return functional.normalize(self.mlp(self.maps(stacks).flatten(1)).float())

    def maps(self, stacks: Tensor) -> Tensor:
        """What the last convolution gives, `(batch, channels, rows, columns)`, none negative."""
        maps: Tensor = self.convolutions(stacks)
        return maps


class AudioNet(nn.Module):
    """psi: spectrograms of snippets of sound to embeddings of length one.

    Convolutions over time with max-pooling and one linear layer (Aytar et al. 2018, section 3).

    Args:
        architecture: The sizes.

    Example:
        >>> net = AudioNet(Architecture())
        >>> net(torch.zeros(2, 256, 137)).shape
        torch.Size([2, 1024])
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, kernel = architecture.bins, architecture.sound_kernel
        for channels in architecture.sound_channels:
            layers += [
                nn.ZeroPad1d(((kernel - 1) // 2, kernel // 2)),
                nn.Conv1d(width, channels, kernel, bias=False),
                nn.BatchNorm1d(channels),
                nn.ReLU(inplace=True),
                nn.MaxPool1d(2),
            ]
            width = channels
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Sequential(*_head(architecture.sound_flattened, architecture))

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Embeddings `(batch, dimension)` of spectrograms `(batch, bins, columns)`."""
        return functional.normalize(self.linear(self.convolutions(spectrograms).flatten(1)).float())


class PairClassifier(nn.Module):
    """tau: says what holds between two embeddings, from their element-wise product.

    Args:
        architecture: The sizes.
        classes: Number of classes.

    Example:
        >>> classify = PairClassifier(Architecture(), 6)
        >>> classify(torch.ones(2, 1024), torch.ones(2, 1024)).shape
        torch.Size([2, 6])
    """

    def __init__(self, architecture: Architecture, classes: int) -> None:
        super().__init__()
        self.scale = architecture.product_scale
        self.layers = nn.Sequential(
            nn.Linear(architecture.dimension, architecture.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(architecture.hidden, classes),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits `(batch, classes)` of two batches of embeddings."""
        logits: Tensor = self.layers(self.scale * first * second)
        return logits


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(width, width), nn.ReLU(inplace=True), *_convolution(width, width)
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.layers(maps))


def _convolution(before: int, after: int) -> list[nn.Module]:
    # A bias in front of a batch norm would be taken out again by it.
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]


def _head(width: int, architecture: Architecture) -> list[nn.Module]:
    if architecture.head == "linear":
        return [nn.Linear(width, architecture.dimension)]
    layers: list[nn.Module] = [
        nn.Linear(width, architecture.dimension, bias=False),
        nn.BatchNorm1d(architecture.dimension),
    ]
    return layers if architecture.head == "batch_norm" else [*layers, nn.ReLU()]
