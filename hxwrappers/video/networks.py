"""Networks of the embedding, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hxwrappers._utils.checks import require_range
from hxwrappers.errors import InvalidArgumentError

HEADS = ("linear", "batch_norm", "relu")


@dataclass(frozen=True)
class Architecture:
    """Sizes of the networks phi (frames), psi (sound) and tau (pairs).

    The defaults are those of Aytar et al. 2018 (arXiv 1805.11592), section 3. The paper leaves
    open what stands at the end of phi and psi (`head`).

    Args:
        frame_size: Side in pixels that frames are resized to.
        crop_size: Side of the square that is cut out of them.
        history: Consecutive frames in a stack.
        channels: Channels of the 3x3 convolutions, each followed by 2x2 max-pooling.
        blocks: Residual blocks of two 3x3 convolutions, as wide as the last convolution.
        hidden: Width of phi's hidden layer and of the pair classifiers.
        dimension: Size of the embeddings.
        bins: Frequencies of a sound snippet.
        columns: Points in time of a sound snippet.
        sound_channels: Channels of the convolutions over time, each followed by 2x max-pooling.
        sound_kernel: Their width.
        head: The last layer of phi and psi: `"linear"`, `"batch_norm"` (linear and batch norm), or
            `"relu"` (these and a ReLU, so that no embedding has a negative element).
        product_scale: Factor on the product of two embeddings before a classifier. The paper has
            none; with `dimension` the product starts at a size of about one and the classifiers
            learn from the first steps on.

    Raises:
        InvalidArgumentError: A size out of range or that leaves nothing after the pooling.

    Example:
        >>> Architecture().flattened
        16384
    """

    frame_size: int = 140
    crop_size: int = 128
    history: int = 4
    channels: tuple[int, ...] = (32, 64, 64)
    blocks: int = 3
    hidden: int = 1024
    dimension: int = 1024
    bins: int = 256
    columns: int = 137
    sound_channels: tuple[int, ...] = (32, 64, 128, 256)
    sound_kernel: int = 8
    head: str = "linear"
    product_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("crop_size", "history", "hidden", "dimension", "bins", "columns"):
            require_range(name, getattr(self, name), minimum=1, maximum=65_536)
        require_range("frame_size", self.frame_size, minimum=self.crop_size, maximum=65_536)
        require_range("blocks", self.blocks, minimum=0, maximum=1000)
        require_range("sound_kernel", self.sound_kernel, minimum=1, maximum=self.columns)
        require_range("product_scale", self.product_scale, above=0.0)
        for name in ("channels", "sound_channels"):
            require_range(f"the number of {name}", len(getattr(self, name)), minimum=1, maximum=16)
            for width in getattr(self, name):
                require_range(name, width, minimum=1, maximum=65_536)
        if self.head not in HEADS:
            raise InvalidArgumentError(
                f"head is {self.head!r}; it must be one of {', '.join(HEADS)}."
            )
        if not self.flattened or not self.sound_flattened:
            raise InvalidArgumentError(
                f"Nothing is left of {self.crop_size} pixels after {len(self.channels)} halvings, "
                f"or of {self.columns} columns after {len(self.sound_channels)}; take larger crops "
                "or fewer convolutions."
            )

    @property
    def flattened(self) -> int:
        """Numbers that phi's convolutions leave for its hidden layer."""
        return self.channels[-1] * int(self.crop_size >> len(self.channels)) ** 2

    @property
    def sound_flattened(self) -> int:
        """Numbers that psi's convolutions leave for its linear layer."""
        return self.sound_channels[-1] * int(self.columns >> len(self.sound_channels))


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
