"""The embedding of frames: its networks, their sizes, and the learned embedder."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hxwrappers._utils.checks import (
    brief,
    plain_numbers,
    require_choice,
    require_count,
    require_range,
)
from hxwrappers._utils.devices import seeded_weights
from hxwrappers.errors import MALFORMED, CheckpointError, InvalidArgumentError, VideoError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import limit_parameters
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.frames import centre_crop, history_of, network_input, resize_frames


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
        plain_numbers(self)
        sizes = ("crop_size", "history", "hidden", "dimension", "bins", "columns")
        for name in (*sizes, "frame_size", "blocks", "sound_kernel"):
            require_count(name, getattr(self, name))
        for name in sizes:
            require_range(name, getattr(self, name), minimum=1, maximum=65_536)
        require_range("frame_size", self.frame_size, minimum=self.crop_size, maximum=65_536)
        require_range("blocks", self.blocks, minimum=0, maximum=1000)
        require_range("sound_kernel", self.sound_kernel, minimum=1, maximum=self.columns)
        require_range("product_scale", self.product_scale, above=0.0)
        for name in ("channels", "sound_channels"):
            require_range(f"the number of {name}", len(getattr(self, name)), minimum=1, maximum=16)
            for width in getattr(self, name):
                require_count(name, width)
                require_range(name, width, minimum=1, maximum=65_536)
        require_choice("head", self.head, ("linear", "batch_norm", "relu"))
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


def _for_inference(network: VisualNet) -> VisualNet:
    """A copy with batch norms taken into convolutions, which CPUs run 2.5 times as fast."""
    quick = copy.deepcopy(network)
    for layers in [part for part in quick.modules() if isinstance(part, nn.Sequential)]:
        for at, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                convolution = layers[at - 1]
                assert isinstance(convolution, nn.Conv2d)
                layers[at - 1], layers[at] = fuse_conv_bn_eval(convolution, layer), nn.Identity()
    return quick.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


_KIND = "Embedder"
_CHUNK = 32


class Embedder:
    """phi in evaluation mode: stacks of frames to points on a sphere.

    Args:
        architecture: The network's sizes.
        network: The network.
        frames_per_second: The rate of the clips that it learned from; None if it did not learn.
        made_by: How it was made: plain values for people to read.

    Example:
        >>> embedder = Embedder.random(Architecture(channels=(4, 8, 8), hidden=16, dimension=16))
        >>> embedder.frame_size, embedder.history, embedder.dimension
        ((140, 140), 4, 16)
        >>> embedder.embed(torch.zeros(2, 4, 140, 140, 3, dtype=torch.uint8)).shape
        torch.Size([2, 16])
    """

    def __init__(
        self,
        architecture: Architecture,
        network: VisualNet,
        frames_per_second: float | None = None,
        made_by: Mapping[str, Any] | None = None,
    ) -> None:
        self.architecture = architecture
        self.frames_per_second = frames_per_second
        self.made_by = dict(made_by or {})
        self._network = network.eval().requires_grad_(False)
        self._quick = _for_inference(self._network)

    @classmethod
    def random(cls, architecture: Architecture, seed: int = 0) -> Embedder:
        """An embedder that learned nothing, to compare others with.

        Args:
            architecture: The network's sizes.
            seed: Seed of the weights.
        """
        with seeded_weights(seed):
            return cls(architecture, VisualNet(architecture), made_by={"objective": "none"})

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width that frames must be resized to."""
        return self.architecture.frame_size, self.architecture.frame_size

    @property
    def history(self) -> int:
        """Frames in a stack."""
        return self.architecture.history

    @property
    def dimension(self) -> int:
        """Size of an embedding."""
        return self.architecture.dimension

    def to(self, device: str | torch.device) -> Embedder:
        """Move the network to a device; returns the embedder itself."""
        self._network.to(device)
        self._quick.to(device)
        return self

    def embed(self, stacks: Tensor) -> Tensor:
        """Embed stacks of consecutive frames.

        Args:
            stacks: `(batch, history, height, width, 3)` with height and width of `frame_size`, RGB,
                oldest frame first, `uint8`. The middle of each frame is cut out here.

        Returns:
            `(batch, dimension)`, `float32`, each of length 1, on the network's device.

        Raises:
            VideoError: Stacks of another shape or dtype.
        """
        with torch.inference_mode():
            return torch.cat([self._quick(part) for part in self._inputs(stacks)])

    def embed_clip(self, clip: DecodedClip) -> npt.NDArray[np.float32]:
        """Embed all frames of a clip, resized if need be; before the start the first repeats.

        Returns:
            `(frames, dimension)`, `float32`.
        """
        parts = []
        for start in range(0, len(clip), _CHUNK):
            ends = np.arange(start, min(start + _CHUNK, len(clip)))
            parts.append(self.embed(self.stacks_of(clip, ends)).cpu().numpy())
        return np.concatenate(parts)

    def stacks_of(self, clip: DecodedClip, ends: npt.NDArray[np.int64]) -> Tensor:
        """The stacks of a clip that end with given frames, as `embed` takes them.

        Args:
            clip: The clip.
            ends: Indices of frames, `(number,)`.
        """
        indices = history_of(ends, self.history)
        needed, places = np.unique(indices, return_inverse=True)
        frames = resize_frames(np.asarray(clip.frames[needed]), self.frame_size)
        return torch.from_numpy(frames[places.reshape(indices.shape)])

    def maps(self, stacks: Tensor) -> Tensor:
        """What the last convolution gives, `(batch, channels, rows, columns)`, `float32`.

        Args:
            stacks: As for `embed`.

        Raises:
            VideoError: Stacks of another shape or dtype.
        """
        with torch.inference_mode():
            return torch.cat([self._quick.maps(part) for part in self._inputs(stacks)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the embedder atomically; see `load`."""
        state = {
            "architecture": dataclasses.asdict(self.architecture),
            "network": self._network.state_dict(),
            "frames_per_second": self.frames_per_second,
            "made_by": self.made_by,
        }
        save_checkpoint(path, _KIND, state)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Embedder:
        """Load what `save` wrote, on the CPU, without executing code from the file.

        Raises:
            CheckpointError: The file is missing, damaged, hostile, of another kind, or its weights
                do not fit the sizes that it names.
        """
        state = load_checkpoint(path, _KIND)
        try:
            architecture = Architecture(**state["architecture"])
            weights = state["network"]
            with limit_parameters(weights):
                network = VisualNet(architecture)
            wanted = {name: value.dtype for name, value in network.state_dict().items()}
            if any(weights[name].dtype != dtype for name, dtype in wanted.items()):
                raise TypeError("weights of another kind of number")
            network.load_state_dict(weights)
            rate = state["frames_per_second"]
            return cls(
                architecture,
                network,
                None if rate is None else float(rate),
                dict(state["made_by"]),
            )
        except MALFORMED as error:
            raise CheckpointError(
                f"{path} is damaged: what it holds is no embedder ({brief(error)}). Use a file "
                "that hxw video pretrain wrote."
            ) from error

    def _inputs(self, stacks: Tensor) -> list[Tensor]:
        shape = (self.history, *self.frame_size, 3)
        if stacks.dtype != torch.uint8 or stacks.shape[1:] != shape:
            raise VideoError(
                f"The stacks are {tuple(stacks.shape)} of {stacks.dtype}; this embedder takes "
                f"(batch, {', '.join(map(str, shape))}) of torch.uint8. Resize the frames to "
                "embedder.frame_size and stack embedder.history of them, oldest first."
            )
        device = next(self._network.parameters()).device
        return [
            network_input(centre_crop(part.to(device), self.architecture.crop_size)).contiguous(
                memory_format=torch.channels_last
            )
            for part in torch.split(stacks, _CHUNK)
        ]
