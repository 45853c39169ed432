"""The learned embedding of frames: save, load, use."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers._utils.checks import brief
from hxwrappers._utils.devices import seeded_weights
from hxwrappers.errors import MALFORMED, CheckpointError, VideoError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.net_sizes import limit_parameters
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.networks import Architecture, VisualNet
from hxwrappers.video.stacks import centre_crop, history_of, network_input, resize_frames

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
            parts = [self._network(part) for part in self._inputs(stacks)]
        return torch.cat(parts) if parts else torch.zeros(0, self.dimension)

    def embed_clip(self, clip: DecodedClip) -> npt.NDArray[np.float32]:
        """Embed all frames of a clip, resized if need be; before the start the first repeats.

        Returns:
            `(frames, dimension)`, `float32`.

        Raises:
            VideoError: The clip has no frames.
        """
        if not len(clip):
            raise VideoError(f"The clip {clip.name} has no frames to embed.")
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
            return torch.cat([self._network.maps(part) for part in self._inputs(stacks)])

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
            network_input(centre_crop(part.to(device), self.architecture.crop_size))
            for part in torch.split(stacks, _CHUNK)
        ]
