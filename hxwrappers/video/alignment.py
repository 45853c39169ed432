"""Measures of alignment of two videos, for embedders and untrained baselines.

A video is given as its embeddings, one row for each frame, `(frames, dimension)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.video.clip import resized
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import Embedder

Embeddings = npt.NDArray[np.floating]
_FRAMES_AT_ONCE = 1024


def distances(first: Embeddings, second: Embeddings) -> npt.NDArray[np.float64]:
    """Euclidean distances between all rows of two videos, `(first frames, second frames)`.

    Example:
        >>> distances(np.array([[0.0], [3.0]]), np.array([[1.0]])).tolist()
        [[1.0], [2.0]]
    """
    _check(first, second)
    return np.sqrt(np.maximum(_squared(first, second), 0.0))


def nearest(first: Embeddings, second: Embeddings) -> npt.NDArray[np.int64]:
    """For each frame of the first video the nearest one of the second, `(first frames,)`.

    Of several that are equally near, it is the earliest.

    Example:
        >>> nearest(np.array([[0.0], [3.0]]), np.array([[1.0], [2.0]])).tolist()
        [0, 1]
    """
    _check(first, second)
    parts = [
        _squared(first[start : start + _FRAMES_AT_ONCE], second).argmin(1)
        for start in range(0, len(first), _FRAMES_AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.int64)


def cycle_consistency(first: Embeddings, second: Embeddings, *, tolerance: int = 1) -> float:
    """The share of a video's frames that return to themselves by way of another video.

    A frame is consistent if the nearest frame of the nearest frame in the other video is itself, or
    at most `tolerance` frames away (Aytar et al. 2018, section 3.3).

    Args:
        first: The video whose frames set out.
        second: The other one.
        tolerance: Frames by which the return may miss.

    Returns:
        A share, in [0, 1].

    Raises:
        InvalidArgumentError: A video without frames, or embeddings of different sizes.

    Example:
        >>> first = np.array([[0.0], [10.0], [11.0], [20.0]])
        >>> second = np.array([[0.0], [19.0]])
        >>> cycle_consistency(first, second), cycle_consistency(first, second, tolerance=0)
        (0.75, 0.5)
    """
    there, back = nearest(first, second), nearest(second, first)
    return float(_returned(back[there], tolerance).mean())


def three_cycle_consistency(
    first: Embeddings, second: Embeddings, third: Embeddings, *, tolerance: int = 1
) -> float:
    """The share of a video's frames that return to themselves through two others, both ways round.

    Args:
        first: The video whose frames set out.
        second: Another one.
        third: A third one.
        tolerance: Frames by which a return may miss.

    Returns:
        A share, in [0, 1].

    Raises:
        InvalidArgumentError: A video without frames, or embeddings of different sizes.

    Example:
        >>> video = np.arange(5.0)[:, None]
        >>> three_cycle_consistency(video, video + 0.1, video - 0.1)
        1.0
    """
    returned = np.ones(len(first), bool)
    for one, other in ((second, third), (third, second)):
        way = nearest(other, first)[nearest(one, other)[nearest(first, one)]]
        returned &= _returned(way, tolerance)
    return float(returned.mean())


def kendalls_tau(first: Embeddings, second: Embeddings) -> float:
    """Whether the nearest frames in another video come in the same order.

    Of all pairs of frames, the share whose nearest frames are in order less the share whose nearest
    frames are in reverse order; a pair with the same nearest frame counts as neither (Dwibedi et
    al. 2019, arXiv 1904.07846, section 4). A playthrough that comes back to a place lowers it.

    Args:
        first: The video whose frames are looked up.
        second: The video in which they are.

    Returns:
        From -1, all in reverse, to 1, all in order.

    Raises:
        InvalidArgumentError: A first video of fewer than two frames, or see `nearest`.

    Example:
        >>> kendalls_tau(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [2.0], [1.0]]))
        0.3333333333333333
    """
    if len(first) < 2:
        raise InvalidArgumentError("Kendall's tau needs a video of two frames at least.")
    order = nearest(first, second)
    balance = sum(
        int(np.sign(order[index + 1 :] - order[index]).sum()) for index in range(len(order) - 1)
    )
    return balance / (len(order) * (len(order) - 1) / 2)


def retrieval_accuracy(
    first: Embeddings,
    second: Embeddings,
    truth: npt.NDArray[np.integer],
    *,
    tolerance: int = 1,
) -> float:
    """The share of frames whose nearest frame in another video is the true one.

    Args:
        first: The video whose frames are looked up.
        second: The video in which they are.
        truth: For each frame of the first the frame of the second that shows the same, or -1 where
            there is none, which leaves it out, `(first frames,)`.
        tolerance: Frames by which it may be missed.

    Returns:
        A share, in [0, 1].

    Raises:
        InvalidArgumentError: The truth has another length, points outside the second video or
            nowhere, or see `nearest`.

    Example:
        >>> first, second = np.array([[0.0], [1.0], [9.0]]), np.array([[1.0], [0.0], [5.0]])
        >>> retrieval_accuracy(first, second, np.array([1, 2, -1]), tolerance=0)
        0.5
    """
    truth = np.asarray(truth)
    if (
        truth.shape != (len(first),)
        or not np.issubdtype(truth.dtype, np.integer)
        or truth.max(initial=-1) >= len(second)
        or truth.max(initial=-1) < 0
    ):
        raise InvalidArgumentError(
            f"The true alignment has the shape {truth.shape} of {truth.dtype} and a maximum of "
            f"{truth.max(initial=-1)}; it must be one whole number for each of the {len(first)} "
            f"frames: -1 for none, or up to {len(second) - 1}; and not all may be -1."
        )
    known = truth >= 0
    missed = np.abs(nearest(first[known], second) - truth[known])
    return float((missed <= tolerance).mean())


def _squared(first: Embeddings, second: Embeddings) -> npt.NDArray[np.float64]:
    one, other = first.astype(np.float64), second.astype(np.float64)
    squares: npt.NDArray[np.float64] = (
        (one**2).sum(1)[:, None] + (other**2).sum(1)[None, :] - 2.0 * one @ other.T
    )
    return squares


def _returned(frames: npt.NDArray[np.int64], tolerance: int) -> npt.NDArray[np.bool_]:
    near: npt.NDArray[np.bool_] = np.abs(frames - np.arange(len(frames))) <= tolerance
    return near


def _check(first: Embeddings, second: Embeddings) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InvalidArgumentError(
            f"The embeddings have the shapes {first.shape} and {second.shape}; both must be "
            "(frames, dimension) with the same dimension."
        )
    if not len(first) or not len(second):
        raise InvalidArgumentError("A video without frames cannot be aligned.")


def pixels(clip: DecodedClip, size: tuple[int, int] = (64, 64)) -> npt.NDArray[np.float32]:
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
    frames = resized(clip, size).frames.reshape(len(clip), -1)
    return frames.astype(np.float32) / np.float32(255.0)


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
        VideoError: There is no embedder, or one has the name of a baseline.
    """
    if not embedders or {"pixels", "random"} & set(embedders):
        raise VideoError(
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
