"""What a run would earn for following a demonstration, checkpoint by checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers.errors import EmptyClipError
from hxwrappers.video.checkpoints import CheckpointMatcher, Checkpoints, FrameEmbedder
from hxwrappers.video.history import FrameHistory
from hxwrappers.video.reward import REWARD

__all__ = ["RewardReplay", "replay_reward"]

_BATCH = 32
_ONLY = np.zeros(1, np.int64)


@dataclass(frozen=True, eq=False)
class RewardReplay:
    """Which checkpoints a run reached and when.

    Attributes:
        similarities: How like each checkpoint each frame was, `float32`, `(frames, checkpoints)`.
        reached: The frame at which each checkpoint was reached, -1 for never, `(checkpoints,)`.
        frames_per_second: Rate of the frames.
        threshold: The cosine that reaches a checkpoint.
    """

    similarities: npt.NDArray[np.float32]
    reached: npt.NDArray[np.int64]
    frames_per_second: float
    threshold: float

    @property
    def share(self) -> float:
        """Which share of the checkpoints was reached."""
        return float((self.reached >= 0).mean())

    @property
    def reward(self) -> float:
        """What they are worth together."""
        return REWARD * int((self.reached >= 0).sum())

    def course(self) -> npt.NDArray[np.int64]:
        """How many checkpoints were reached up to each frame, `(frames,)`."""
        counts = np.zeros(len(self.similarities), np.int64)
        np.add.at(counts, self.reached[self.reached >= 0], 1)
        return np.cumsum(counts)

    def stuck_at(self) -> int | None:
        """The first checkpoint after the last one reached, or None where that was the end."""
        reached = np.flatnonzero(self.reached >= 0)
        following = int(reached[-1]) + 1 if len(reached) else 0
        return following if following < len(self.reached) else None


def replay_reward(
    frames: Iterable[npt.NDArray[np.uint8]],
    checkpoints: Checkpoints,
    embedder: FrameEmbedder,
    *,
    threshold: float = 0.5,
    tolerance: int = 1,
    progress: Callable[[int, int | None], object] | None = None,
) -> RewardReplay:
    """Run frames through the reward as one episode; frames are embedded in batches.

    Args:
        frames: What the run saw, `(height, width, 3)` each, RGB, `uint8`, at the rate of the
            demonstration.
        checkpoints: Where the demonstration leads along.
        embedder: The one that the checkpoints were made with.
        threshold: A cosine above this reaches a checkpoint, in [-1, 1].
        tolerance: How many checkpoints may be passed over at once, 0 or more.
        progress: Called with the number of frames so far and None.

    Raises:
        InvalidArgumentError: threshold or tolerance is out of range.
        EmptyClipError: There are no frames.
        EmbedderError: The embedder is not that of the checkpoints.
        InvalidObservationError: Frames of another shape or dtype.

    Example:
        >>> class Grey:
        ...     frame_size, history, dimension = (4, 4), 1, 2
        ...     def embed(self, stacks):
        ...         angle = stacks.float().mean((1, 2, 3, 4)) / 100
        ...         return torch.stack([angle.cos(), angle.sin()], 1)
        >>> points = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> track = Checkpoints(points, torch.zeros(2), torch.tensor([16, 32]), 15.0)
        >>> frames = [np.full((4, 4, 3), level, np.uint8) for level in range(0, 200, 10)]
        >>> replay_reward(frames, track, Grey()).reached.tolist()
        [1, 6]
    """
    matcher = CheckpointMatcher(len(checkpoints), 1, threshold, tolerance)
    history = FrameHistory(1, embedder.frame_size, embedder.history)
    rows: list[npt.NDArray[np.float32]] = []
    stacks = _stacks(frames, history)
    while batch := list(islice(stacks, _BATCH)):
        embeddings = embedder.embed(torch.cat(batch)).float().cpu()
        rows.append(np.asarray(checkpoints.similarities(embeddings).numpy()))
        if progress is not None:
            progress(sum(map(len, rows)), None)
    if not rows:
        raise EmptyClipError("There are no frames to run through the reward.")
    similarities = np.concatenate(rows)
    reached = np.full(len(checkpoints), -1, np.int64)
    # As in an environment, what is there at the beginning pays nothing.
    for frame in range(1, len(similarities)):
        if matcher.match(similarities[frame : frame + 1], _ONLY)[0]:
            reached[matcher.last[0]] = frame
    return RewardReplay(similarities, reached, checkpoints.frames_per_second, threshold)


def _stacks(frames: Iterable[npt.NDArray[np.uint8]], history: FrameHistory) -> Iterable[Tensor]:
    for number, frame in enumerate(frames):
        put = history.add if number else history.begin
        put(frame[None], _ONLY)
        yield history.stacks(_ONLY)
