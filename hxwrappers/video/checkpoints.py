"""Checkpoints of a demonstration video, and the matcher that follows them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers._utils.checks import brief
from hxwrappers.errors import MALFORMED, CheckpointError, InvalidArgumentError, VideoError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.video.decoded import DecodedClip

Centre = Literal["demonstration", "none"]
_KIND = "Checkpoints"
_FEWEST = 2


class FrameEmbedder(Protocol):
    """What embeds frames; `hxwrappers.video.embedder.Embedder` does, and anything like it may."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width that frames must be resized to."""

    @property
    def history(self) -> int:
        """Frames in a stack."""

    @property
    def dimension(self) -> int:
        """Size of an embedding."""

    def embed(self, stacks: Tensor) -> Tensor:
        """Embed `(batch, history, *frame_size, 3)`, `uint8`, as `(batch, dimension)`, `float32`."""

    def embed_clip(self, clip: DecodedClip) -> npt.NDArray[np.float32]:
        """Embed all frames of a clip, `(frames, dimension)`, `float32`."""


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """Points along a demonstration, zero-centred and of length 1.

    Aytar et al. 2018, arXiv 1805.11592, section 4: one every 16 frames. The first frame is none,
    since every episode begins there.

    Attributes:
        points: `(checkpoints, dimension)`, `float32`, each of length 1.
        centre: What is taken off an embedding before it is compared, `(dimension,)`, `float32`.
        frames: The frame of the demonstration that each was made from, `int64`, `(checkpoints,)`.
        frames_per_second: Rate of the demonstration.

    Raises:
        VideoError: There are less than two checkpoints, or two arrays do not fit.

    Example:
        >>> points = torch.eye(3)
        >>> track = Checkpoints(points, torch.zeros(3), torch.tensor([16, 32, 48]), 15.0)
        >>> track.similarities(torch.tensor([[0.0, 2.0, 0.0]])).tolist()
        [[0.0, 1.0, 0.0]]
    """

    points: Tensor
    centre: Tensor
    frames: Tensor
    frames_per_second: float

    def __post_init__(self) -> None:
        number, dimension = self.points.shape if self.points.ndim == 2 else (0, 0)
        if number < _FEWEST:
            raise VideoError(
                f"The demonstration has {number} checkpoints, and at least {_FEWEST} are needed. "
                "Give a longer part of the video, or fewer frames between two checkpoints."
            )
        fits = self.centre.shape == (dimension,) and self.frames.shape == (number,)
        if not fits or not self.frames_per_second > 0 or not torch.isfinite(self.points).all():
            raise VideoError(
                f"The {number} checkpoints of dimension {dimension} do not fit their centre "
                f"{tuple(self.centre.shape)}, frames {tuple(self.frames.shape)} or rate "
                f"{self.frames_per_second}, or are not finite. Make them again."
            )

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(
        cls,
        clip: DecodedClip,
        embedder: FrameEmbedder,
        *,
        every: int = 16,
        centre: Centre = "demonstration",
    ) -> Checkpoints:
        """Embed a demonstration and take a checkpoint every so many frames.

        Args:
            clip: The demonstration.
            embedder: Embeds its frames, and those of whoever follows it.
            every: Frames between two checkpoints, the paper's 16 by default.
            centre: What to take off before comparing: the mean embedding of the demonstration, or
                nothing. The paper zero-centres and does not say around what.

        Raises:
            VideoError: It is shorter than two checkpoints.
            VideoError: The embedder gives something else than one vector a frame, or learned
                from clips of another rate.
        """
        learned = getattr(embedder, "frames_per_second", None)
        if learned is not None and not math.isclose(learned, clip.frames_per_second, rel_tol=1e-3):
            raise VideoError(
                f"The embedder learned from {learned:g} frames a second, the demonstration "
                f"{clip.name!r} has {clip.frames_per_second:g}, so that its stacks span another "
                f"time. Decode it at {learned:g}."
            )
        frames = torch.tensor(range(every, len(clip), every), dtype=torch.int64)
        if len(frames) < _FEWEST:
            raise VideoError(
                f"The demonstration {clip.name!r} has {len(clip)} frames, which make {len(frames)} "
                f"checkpoints at one every {every}; at least {_FEWEST} are needed. Give a longer "
                "part of the video, or fewer frames between two checkpoints."
            )
        embeddings = torch.tensor(np.asarray(embedder.embed_clip(clip)), dtype=torch.float32)
        if embeddings.shape != (len(clip), embedder.dimension):
            raise VideoError(
                f"The embedder gave {tuple(embeddings.shape)} for {len(clip)} frames; "
                f"({len(clip)}, {embedder.dimension}) was expected."
            )
        mean = embeddings.mean(0) if centre == "demonstration" else torch.zeros_like(embeddings[0])
        points = _normalised(embeddings[frames] - mean)
        return cls(points, mean, frames, clip.frames_per_second)

    def similarities(self, embeddings: Tensor) -> Tensor:
        """How like each checkpoint some embeddings are.

        Args:
            embeddings: `(number, dimension)`, `float32`.

        Returns:
            Cosines after centring, in [-1, 1], `(number, checkpoints)`.

        Raises:
            VideoError: The embeddings are of another dimension.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.points.shape[1]:
            raise VideoError(
                f"Embeddings of shape {tuple(embeddings.shape)} cannot be compared with "
                f"checkpoints of dimension {self.points.shape[1]}. Use the embedder that the "
                "checkpoints were made with."
            )
        return _normalised(embeddings - self.centre) @ self.points.T

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the checkpoints, so that the demonstration need not be embedded again.

        Args:
            path: The file, by convention with the ending `.safetensors`.
        """
        save_checkpoint(path, _KIND, vars(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoints:
        """Load what `save` saved, without executing code from it.

        Args:
            path: The file.

        Raises:
            CheckpointError: The file is unreadable, damaged, unsafe or of something else.
        """
        state = load_checkpoint(path, _KIND)
        try:
            points, centre, frames = (state[name] for name in ("points", "centre", "frames"))
            return cls(points.float(), centre.float(), frames.long(), state["frames_per_second"])
        except MALFORMED as error:
            raise CheckpointError(
                f"{os.fspath(path)} holds no checkpoints of a demonstration ({brief(error)})."
            ) from error


class CheckpointMatcher:
    """Who has reached which checkpoint, in soft order and each at most once an episode.

    After checkpoint n the next may be any of n + 1 to n + 1 + `tolerance`; of several that are
    like enough the first one counts, so that none is passed over without need.

    Args:
        checkpoints: How many there are.
        lanes: How many agents there are.
        threshold: A cosine above this is like enough, in [-1, 1]. The paper's is 0.5.
        tolerance: How many checkpoints may be passed over at once, 0 or more. The paper's is 1.

    Attributes:
        last: The checkpoint that each agent reached last, -1 for none, `int64`, `(lanes,)`.
        reached: Which each has reached, `bool`, `(lanes, checkpoints)`.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> matcher = CheckpointMatcher(checkpoints=4, lanes=1)
        >>> here = np.array([0])
        >>> matcher.match(np.array([[0.1, 0.9, 0.9, 0.9]]), here).tolist()
        [True]
        >>> matcher.last.tolist(), matcher.reached[0].tolist()
        ([1], [False, True, False, False])
    """

    def __init__(
        self, checkpoints: int, lanes: int, threshold: float = 0.5, tolerance: int = 1
    ) -> None:
        if not (-1 <= threshold <= 1 and tolerance >= 0):
            raise InvalidArgumentError(
                f"threshold {threshold}, tolerance {tolerance}: the first lies in [-1, 1], the "
                "second is 0 or more."
            )
        self.threshold = threshold
        self.tolerance = tolerance
        self.last: npt.NDArray[np.int64] = np.full(lanes, -1, np.int64)
        self.reached: npt.NDArray[np.bool_] = np.zeros((lanes, checkpoints), np.bool_)

    def begin(self, lanes: npt.NDArray[np.int64]) -> None:
        """Begin new episodes.

        Args:
            lanes: The agents that do, `(number,)`.
        """
        self.last[lanes] = -1
        self.reached[lanes] = False

    def match(
        self, similarities: npt.NDArray[np.floating[Any]], lanes: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Say who reaches a checkpoint now, and remember it.

        Args:
            similarities: Of where each is to each checkpoint, `(number, checkpoints)`.
            lanes: The agents, `(number,)`.

        Returns:
            Whether each reaches one, `bool`, `(number,)`.
        """
        there, values = self._ahead(similarities, lanes, self.tolerance + 1)
        enough = there & (values > self.threshold)
        matched: npt.NDArray[np.bool_] = enough.any(axis=1)
        which = self.last[lanes][matched] + 1 + enough.argmax(axis=1)[matched]
        self.last[lanes[matched]] = which
        self.reached[lanes[matched], which] = True
        return matched

    def distances(
        self, similarities: npt.NDArray[np.floating[Any]], lanes: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """How far the next two checkpoints are.

        Args:
            similarities: Of where each is to each checkpoint, `(number, checkpoints)`.
            lanes: The agents, `(number,)`.

        Returns:
            `1 - cosine`, in [0, 2], `float32`, `(number, 2)`; 0 where no further one is left.
        """
        there, values = self._ahead(similarities, lanes, 2)
        return np.where(there, np.clip(1 - values, 0, 2), 0).astype(np.float32)

    def _ahead(
        self,
        similarities: npt.NDArray[np.floating[Any]],
        lanes: npt.NDArray[np.int64],
        count: int,
    ) -> tuple[npt.NDArray[np.bool_], Any]:
        """Which of the next checkpoints there are, and how like they are, `(number, count)`."""
        following = self.last[lanes][:, None] + np.arange(1, count + 1)
        there = following < self.reached.shape[1]
        return there, np.take_along_axis(similarities, np.where(there, following, 0), axis=1)

    def state_dict(self) -> dict[str, Any]:
        """Who has reached what, as tensors."""
        return {"last": torch.tensor(self.last), "reached": torch.tensor(self.reached)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            CheckpointError: The state is of another number of agents or checkpoints.
        """
        with checkpoint_errors("The state holds no reached checkpoints"):
            last, reached = (state[name].numpy().copy() for name in ("last", "reached"))
        inside = last.dtype.kind == "i" and bool(
            ((last >= -1) & (last < self.reached.shape[1])).all()
        )
        if last.shape != self.last.shape or reached.shape != self.reached.shape or not inside:
            raise CheckpointError(
                f"The state is of {reached.shape} agents and checkpoints, here are "
                f"{self.reached.shape}. Use the demonstration and the number of environments that "
                "it was saved with."
            )
        self.last[:], self.reached[:] = last, reached


def _normalised(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)
