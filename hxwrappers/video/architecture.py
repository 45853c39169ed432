"""The sizes of the embedding's networks, as published and for a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from hxwrappers._ranges import require_range
from hxwrappers.errors import InvalidArgumentError

__all__ = ["HEADS", "Architecture"]

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
