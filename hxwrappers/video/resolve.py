"""From what a user hands over to the embedder and the checkpoints that are used."""

from __future__ import annotations

import os
from pathlib import Path

from hxwrappers._text import brief
from hxwrappers.errors import DemonstrationError, EmbedderError, InvalidArgumentError
from hxwrappers.video.checkpoints import Centre, Checkpoints, FrameEmbedder
from hxwrappers.video.clip import Clip
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import Embedder

__all__ = ["resolve_checkpoints", "resolve_embedder"]


def resolve_embedder(embedder: FrameEmbedder | str | os.PathLike[str]) -> FrameEmbedder:
    """The embedder to use: the one given, or the one in a file.

    Args:
        embedder: An embedder, or the path of one that `hxw video pretrain` wrote.

    Raises:
        CheckpointError: The file is unreadable, damaged, unsafe or of something else.
        EmbedderError: It is neither.
    """
    if not isinstance(embedder, str | os.PathLike):
        if not hasattr(embedder, "embed"):
            raise EmbedderError(
                f"The embedder is {brief(embedder)}; it must be an Embedder, or the path of one."
            )
        return embedder
    return Embedder.load(embedder)


def resolve_checkpoints(
    demonstration: Checkpoints | DecodedClip | str | os.PathLike[str],
    embedder: FrameEmbedder,
    *,
    every: int = 16,
    centre: Centre = "demonstration",
    frames_per_second: float = 15.0,
) -> Checkpoints:
    """The checkpoints of a demonstration, whatever form it has.

    Args:
        demonstration: Checkpoints, a decoded clip, or the path of either or of a video file, which
            is decoded (and kept in the cache).
        embedder: Embeds the frames.
        every: Frames between two checkpoints, for checkpoints that are not made yet.
        centre: See `Checkpoints.of`; likewise.
        frames_per_second: At which rate a video file is decoded.

    Raises:
        VideoError: The video, clip or demonstration is not what it should be.
        CheckpointError: A file of checkpoints is unreadable, or of something else.
        InvalidArgumentError: An argument is out of range.
    """
    if every < 1 or centre not in ("demonstration", "none"):
        raise InvalidArgumentError(
            f"every is {every} and centre {centre!r}; every must be 1 or more, and centre "
            "'demonstration' or 'none'."
        )
    if isinstance(demonstration, str | os.PathLike):
        path = Path(demonstration)
        if path.suffix == ".safetensors":
            demonstration = Checkpoints.load(path)
        elif path.is_dir():
            demonstration = DecodedClip.load(path)
        else:
            clip = Clip(path, frames_per_second=frames_per_second, size=embedder.frame_size)
            demonstration = clip.decode()
    if isinstance(demonstration, Checkpoints):
        return demonstration
    if not isinstance(demonstration, DecodedClip):
        raise DemonstrationError(
            f"The demonstration is {brief(demonstration)}; it must be Checkpoints, a DecodedClip, "
            "or the path of either or of a video."
        )
    return Checkpoints.of(demonstration, embedder, every=every, centre=centre)
