"""The observations collected since the last training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Rollout"]


class Rollout:
    """Frames in the order in which they came, with their streams and, if kept, predecessors.

    Example:
        >>> rollout = Rollout()
        >>> rollout.add(torch.zeros(2, 3), np.array([0, 1]), None)
        >>> len(rollout)
        2
        >>> frames, streams, previous = rollout.take()
        >>> frames.shape, streams.tolist(), len(rollout)
        (torch.Size([2, 3]), [0, 1], 0)
    """

    def __init__(self) -> None:
        self._frames: list[Tensor] = []
        self._streams: list[np.ndarray] = []
        self._previous: list[Tensor] = []
        self._length = 0
        self._seen: set[int] = set()  # the streams that observations came from

    def __len__(self) -> int:
        return self._length

    def add(self, frames: Tensor, streams: np.ndarray, previous: Tensor | None) -> None:
        """Keep a batch; the tensors are not copied and must not change afterwards."""
        self._frames.append(frames)
        self._streams.append(np.asarray(streams, np.int64))
        if previous is not None:
            self._previous.append(previous)
        self._length += len(frames)
        self._seen.update(streams.tolist())

    def until_due(
        self, streams: np.ndarray, steps: int | None, registered: int
    ) -> tuple[int, bool]:
        """How much of a batch is collected until a training is due, and whether one is due there.

        One is due after so many steps of each stream that was observed since the last: streams of
        environments that are closed, or are not stepped, do not put it off.

        Args:
            streams: The streams of the batch.
            steps: Steps of each between two trainings, 1 or more; None if none falls due.
            registered: How many streams there are.
        """
        if steps is None:
            return len(streams), False
        seen = set(self._seen)
        for count, stream in enumerate(streams.tolist(), 1):
            seen.add(stream)
            # After a single step of each, the streams that are still to come must be known.
            expected = len(seen) if steps > 1 else max(registered, len(seen))
            if self._length + count >= steps * expected:
                return count, True
        return len(streams), False

    def take(self) -> tuple[Tensor, np.ndarray, Tensor | None]:
        """All that was collected, which is then forgotten."""
        frames, streams = torch.cat(self._frames), np.concatenate(self._streams)
        previous = torch.cat(self._previous) if self._previous else None
        self._frames, self._streams, self._previous, self._length = [], [], [], 0
        self._seen = set()
        return frames, streams, previous

    def state_dict(self) -> dict[str, Any]:
        """What was collected, as tensors."""
        return {
            "frames": list(self._frames),
            "streams": [torch.from_numpy(streams) for streams in self._streams],
            "previous": list(self._previous),
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Restore what `state_dict` gave."""
        self._frames = [frames.to(device) for frames in state["frames"]]
        self._streams = [streams.numpy() for streams in state["streams"]]
        self._previous = [frames.to(device) for frames in state["previous"]]
        self._length = sum(len(frames) for frames in self._frames)
        self._seen = {int(stream) for streams in self._streams for stream in streams}
