"""Embedders side by side with what learned nothing: raw pixels and a random network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import EmbedderError
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import Embedder
from hxwrappers.video.measures import (
    cycle_consistency,
    kendalls_tau,
    retrieval_accuracy,
    three_cycle_consistency,
)
from hxwrappers.video.stacks import resize_frames

__all__ = ["embed_clips", "measure_alignment", "pixels"]

_CHUNK = 256
_PIXEL_SIZE = (64, 64)


def pixels(clip: DecodedClip, size: tuple[int, int] = _PIXEL_SIZE) -> npt.NDArray[np.float32]:
    """The pixels of each frame as its embedding.

    Args:
        clip: The clip.
        size: Height and width that frames are resized to.

    Returns:
        `(frames, 3 * height * width)`, `float32`, in [0, 1].

    Example:
        >>> sound = np.zeros(0, np.float32)
        >>> clip = DecodedClip("c", np.zeros((5, 90, 80, 3), np.uint8), 15.0, sound, 16_000)
        >>> pixels(clip).shape
        (5, 12288)
    """
    out = np.empty((len(clip), *size, 3), np.float32)
    for start in range(0, len(clip), _CHUNK):
        part = np.asarray(clip.frames[start : start + _CHUNK])
        out[start : start + _CHUNK] = resize_frames(part, size)
    return out.reshape(len(clip), -1) / np.float32(255.0)


def embed_clips(
    clips: Sequence[DecodedClip],
    embedders: Mapping[str, Embedder],
    *,
    progress: Callable[[int], object] | None = None,
) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Embed clips by pixels, by a random network and by embedders.

    Args:
        clips: The clips.
        embedders: Embedders by name; the random network has the sizes of the first.
        progress: Called with the number of networks done, pixels included.

    Returns:
        By name, `"pixels"` and `"random"` first, the embeddings of each clip.

    Raises:
        EmbedderError: There is no embedder, or one has the name of a baseline.
    """
    if not embedders or {"pixels", "random"} & set(embedders):
        raise EmbedderError(
            "Give at least one embedder, under another name than pixels and random; there are "
            f"{sorted(embedders)}."
        )
    untrained = Embedder.random(next(iter(embedders.values())).architecture)
    embeddings = {"pixels": [pixels(clip) for clip in clips]}
    for name, embedder in {"random": untrained, **embedders}.items():
        if progress is not None:
            progress(len(embeddings))
        embeddings[name] = [embedder.embed_clip(clip) for clip in clips]
    return embeddings


def measure_alignment(
    clips: Sequence[npt.NDArray[np.floating]],
    *,
    truth: npt.NDArray[np.integer] | None = None,
    tolerance: int = 1,
) -> dict[str, float]:
    """All measures that two or three embedded clips allow.

    Args:
        clips: Embeddings of two clips or three.
        truth: For each frame of the first the frame of the second that shows the same, or -1.
        tolerance: Frames by which a cycle or a retrieved frame may miss.

    Returns:
        `two_cycle`, the mean of both directions, `kendalls_tau`, and as far as there is a third
        clip and a truth `three_cycle` and `retrieval`.

    Example:
        >>> video = np.arange(5.0)[:, None]
        >>> measure_alignment([video, video], truth=np.arange(5))
        {'two_cycle': 1.0, 'kendalls_tau': 1.0, 'retrieval': 1.0}
    """
    first, second, *rest = clips
    there = cycle_consistency(first, second, tolerance=tolerance)
    back = cycle_consistency(second, first, tolerance=tolerance)
    found = {"two_cycle": (there + back) / 2, "kendalls_tau": kendalls_tau(first, second)}
    if rest:
        found["three_cycle"] = three_cycle_consistency(first, second, rest[0], tolerance=tolerance)
    if truth is not None:
        found["retrieval"] = retrieval_accuracy(first, second, truth, tolerance=tolerance)
    return found
