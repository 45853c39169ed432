"""The reward for following a demonstration video, and its replay along a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers.errors import CheckpointError, InvalidArgumentError, VideoError
from hxwrappers.video.checkpoints import CheckpointMatcher, Checkpoints, FrameEmbedder
from hxwrappers.video.frames import FrameHistory

REWARD = 0.5
"""What a checkpoint is worth; Aytar et al. 2018, arXiv 1805.11592, section 4."""


class ImitationReward:
    """Pays each agent for reaching the checkpoints of a demonstration, one after the other.

    Aytar et al. 2018, arXiv 1805.11592, section 4. All agents of a step are embedded in one batch.

    Args:
        checkpoints: Where the demonstration leads along.
        embedder: The one that the checkpoints were made with.
        lanes: How many agents there are.
        threshold: A cosine above this reaches a checkpoint, in [-1, 1].
        tolerance: How many checkpoints may be passed over at once, 0 or more.
        steps_per_second: How many steps of an agent are a second of the demonstration; as many as
            it has frames where None.

    Attributes:
        progress: Distances to the next two checkpoints, `float32`, `(lanes, 2)`; see
            `CheckpointMatcher.distances`. Of the last frame that was embedded.

    Raises:
        VideoError: The embedder is not that of the checkpoints.
        InvalidArgumentError: A number is out of range.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        embedder: FrameEmbedder,
        lanes: int = 1,
        *,
        threshold: float = 0.5,
        tolerance: int = 1,
        steps_per_second: float | None = None,
    ) -> None:
        rate = checkpoints.frames_per_second if steps_per_second is None else steps_per_second
        if not 0 < rate < math.inf:
            raise InvalidArgumentError(f"steps_per_second is {rate}; it must be positive.")
        if embedder.dimension != checkpoints.points.shape[1]:
            raise VideoError(
                f"The embedder gives {embedder.dimension} numbers a frame, the demonstration's "
                f"checkpoints have {checkpoints.points.shape[1]}. Use the embedder that they were "
                "made with."
            )
        self.checkpoints = checkpoints
        self.embedder = embedder
        self._matcher = CheckpointMatcher(len(checkpoints), lanes, threshold, tolerance)
        self._history = FrameHistory(
            lanes, embedder.frame_size, embedder.history, rate / checkpoints.frames_per_second
        )
        self.progress = np.zeros((lanes, 2), np.float32)

    @property
    def last(self) -> npt.NDArray[np.int64]:
        """The checkpoint that each agent reached last in its episode, -1 for none, `(lanes,)`."""
        return self._matcher.last.copy()

    @property
    def share(self) -> npt.NDArray[np.float64]:
        """Which share of all checkpoints each agent has reached in its episode, `(lanes,)`."""
        return np.asarray(self._matcher.reached.mean(axis=1), np.float64)

    def begin(
        self,
        frames: npt.NDArray[np.uint8],
        lanes: npt.NDArray[np.int64] | None = None,
        *,
        with_progress: bool = False,
    ) -> None:
        """Begin episodes.

        Args:
            frames: What the agents see first, `(number, height, width, 3)`, RGB, `uint8`.
            lanes: The agents, `(number,)`; all where None.
            with_progress: Whether to embed these frames, so that `progress` is of them.

        Raises:
            InvalidArgumentError: The frames are of another shape or dtype.
        """
        lanes = self._lanes(lanes)
        self._history.begin(frames, lanes)
        self._matcher.begin(lanes)
        if with_progress and len(lanes):
            self.progress[lanes] = self._matcher.distances(self._similarities(lanes), lanes)

    def score(
        self, frames: npt.NDArray[np.uint8], lanes: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float64]:
        """Reward agents for what they see after a step.

        Args:
            frames: What they see, `(number, height, width, 3)`, RGB, `uint8`.
            lanes: The agents, `(number,)`; all where None.

        Returns:
            0.5 for each that reaches a checkpoint, 0 for the others, `(number,)`.

        Raises:
            InvalidArgumentError: The frames are of another shape or dtype.
        """
        lanes = self._lanes(lanes)
        if not len(lanes):
            return np.zeros(0)
        self._history.add(frames, lanes)
        similarities = self._similarities(lanes)
        matched = self._matcher.match(similarities, lanes)
        self.progress[lanes] = self._matcher.distances(similarities, lanes)
        return np.where(matched, REWARD, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Where each agent is in the demonstration, and what it saw last."""
        return {
            "points": self.checkpoints.points,
            "matcher": self._matcher.state_dict(),
            "history": self._history.state_dict(),
            "progress": torch.tensor(self.progress),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; on an error nothing changes.

        Raises:
            CheckpointError: The state is of another demonstration or number of agents.
        """
        points, progress = state.get("points"), state.get("progress")
        if not isinstance(points, torch.Tensor) or not torch.equal(points, self.checkpoints.points):
            raise CheckpointError(
                "The state belongs to another demonstration or embedder, or to none. Use those "
                "that it was saved with."
            )
        if not isinstance(progress, torch.Tensor) or progress.shape != self.progress.shape:
            raise CheckpointError(
                f"The state is not one of {len(self.progress)} environments. Use as many as it was "
                "saved with."
            )
        before = self._matcher.state_dict()
        self._matcher.load_state_dict(state.get("matcher", {}))
        try:
            self._history.load_state_dict(state.get("history", {}))
        except CheckpointError:
            self._matcher.load_state_dict(before)
            raise
        self.progress[:] = progress.numpy()

    def _similarities(self, lanes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        embeddings = self.embedder.embed(self._history.stacks(lanes))
        return np.asarray(self.checkpoints.similarities(embeddings.float().cpu()).numpy())

    def _lanes(self, lanes: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
        return np.arange(len(self.progress)) if lanes is None else lanes


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
        VideoError: There are no frames.
        VideoError: The embedder is not that of the checkpoints.
        InvalidArgumentError: Frames of another shape or dtype.

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
        raise VideoError("There are no frames to run through the reward.")
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
