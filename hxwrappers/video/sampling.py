"""Samplers of pairs of frames and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import InvalidArgumentError, VideoError

Intervals = tuple[tuple[int, int], ...]
"""The shortest and the longest gap in frames of each class, both included."""

PUBLISHED_INTERVALS: Intervals = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 20), (21, 200))
"""The six classes of Aytar et al. 2018, section 3.1."""

_Indices = npt.NDArray[np.int64]


class TemporalPairs(NamedTuple):
    """Pairs of frames of one video each.

    Attributes:
        video: Index of the video, `(number,)`.
        first: The earlier frame.
        second: The later frame.
        label: The class of the gap between them.
    """

    video: _Indices
    first: _Indices
    second: _Indices
    label: _Indices


class SoundPairs(NamedTuple):
    """Pairs of a frame and a sound of one video each.

    Attributes:
        video: Index of the video, `(number,)`.
        frame: The frame.
        sound: The frame at whose time the sound is heard.
        label: 1 where the two are the same, otherwise 0.
    """

    video: _Indices
    frame: _Indices
    sound: _Indices
    label: _Indices


def check_intervals(intervals: Intervals) -> None:
    """Refuse intervals that overlap, are out of order or hold negative gaps.

    Raises:
        InvalidArgumentError: Says what must be.

    Example:
        >>> check_intervals(PUBLISHED_INTERVALS)
    """
    edges = [edge for interval in intervals for edge in interval]
    ordered = all(
        low <= high and (index == 0 or low > intervals[index - 1][1])
        for index, (low, high) in enumerate(intervals)
    )
    if len(intervals) < 2 or not ordered or edges[0] < 0:
        raise InvalidArgumentError(
            f"The intervals are {intervals}; they must be two or more pairs of a shortest and a "
            "longest gap, rising, without overlap, from 0 on."
        )


@dataclass(frozen=True)
class TemporalSampler:
    """Draws pairs of frames for temporal distance classification.

    Aytar et al. 2018, section 3.1: a video, an interval, a gap in it and a pair of frames with that
    gap, each drawn uniformly.

    Args:
        lengths: Frames of each video.
        intervals: The classes.
        names: What to call the videos in errors.

    Raises:
        InvalidArgumentError: The intervals make no sense.
        VideoError: A video is too short for the longest gap.

    Example:
        >>> sampler = TemporalSampler([300, 500])
        >>> pairs = sampler.draw(np.random.default_rng(0), 4)
        >>> pairs.second - pairs.first
        array([1, 0, 0, 0])
        >>> pairs.label
        array([1, 0, 0, 0])
    """

    lengths: Sequence[int]
    intervals: Intervals = PUBLISHED_INTERVALS
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_intervals(self.intervals)
        longest = self.intervals[-1][1]
        for index, length in enumerate(self.lengths):
            if length <= longest:
                raise VideoError(
                    f"{_name(self.names, index)} has {length} frames, but frames up to {longest} "
                    "apart are to be told apart. Leave it out, or give shorter intervals."
                )

    def draw(self, generator: np.random.Generator, number: int) -> TemporalPairs:
        """Draw pairs.

        Args:
            generator: Where the random numbers come from.
            number: How many.
        """
        video = generator.integers(len(self.lengths), size=number)
        label = generator.integers(len(self.intervals), size=number)
        bounds = np.asarray(self.intervals)[label]
        gap = generator.integers(bounds[:, 0], bounds[:, 1], endpoint=True)
        first = generator.integers(np.asarray(self.lengths)[video] - gap)
        return TemporalPairs(video, first, first + gap, label)


class SoundSampler:
    """Draws frames and sounds for cross-modal classification.

    One half of the pairs, by chance, are a sound and the frame at its time; the others are a sound
    and a frame further away from it than a window. So sounds are equally frequent in both classes,
    and a sound alone tells nothing about the class.

    Args:
        sounding: For each video, whether there is a sound at each of its frames, `(frames,)`.
        window: Frames around a sound that are no counterexamples to it.
        sounds: `"sounding"` draws sounds where there is one; `"any"` everywhere.
        negatives: `"any"` draws the frames of counterexamples everywhere; `"sounding"` where there
            is another sound.
        names: What to call the videos in errors.

    Raises:
        InvalidArgumentError: An option out of range.
        VideoError: A video is silent throughout, or is too short to hold a counterexample.

    Example:
        >>> sounding = np.zeros(100, bool)
        >>> sounding[[20, 70]] = True
        >>> sampler = SoundSampler([sounding], window=30)
        >>> pairs = sampler.draw(np.random.default_rng(0), 4)
        >>> bool(np.isin(pairs.sound, [20, 70]).all())
        True
    """

    def __init__(
        self,
        sounding: Sequence[npt.NDArray[np.bool_]],
        window: int,
        *,
        sounds: str = "sounding",
        negatives: str = "any",
        names: Sequence[str] | None = None,
    ) -> None:
        for name, value in (("sounds", sounds), ("negatives", negatives)):
            if value not in ("any", "sounding"):
                raise InvalidArgumentError(f"{name} is {value!r}; it must be any or sounding.")
        self._window = window
        self._lengths = [len(flags) for flags in sounding]
        self._pools: list[_Indices] = []
        self._sounds: list[_Indices] = []
        for index, flags in enumerate(sounding):
            everywhere, heard = np.arange(len(flags)), np.flatnonzero(flags)
            pool = heard if negatives == "sounding" else everywhere
            chosen = heard if sounds == "sounding" else everywhere
            self._pools.append(pool)
            if not len(heard):
                raise VideoError(
                    f"{_name(names, index)} is silent, so that there is no sound to learn from. "
                    "Leave it out, or learn from frames alone (objective tdc)."
                )
            before, after = self._far(pool, chosen)
            chosen = chosen[before + after > 0]
            if not len(chosen):
                raise VideoError(
                    f"{_name(names, index)} with its {len(flags)} frames is too short: none of "
                    f"them lies more than {window} frames away from a sound. Leave it out, or "
                    "give a smaller window."
                )
            self._sounds.append(chosen)

    def draw(self, generator: np.random.Generator, number: int) -> SoundPairs:
        """Draw pairs.

        Args:
            generator: Where the random numbers come from.
            number: How many.
        """
        video = generator.integers(len(self._lengths), size=number)
        label = generator.integers(2, size=number)
        luck = generator.random((number, 2))
        sound = np.empty(number, np.int64)
        other = np.empty(number, np.int64)
        for index, (sounds, pool) in enumerate(zip(self._sounds, self._pools, strict=True)):
            mine = video == index
            at = sounds[(luck[mine, 0] * len(sounds)).astype(np.int64)]
            before, after = self._far(pool, at)
            chosen = (luck[mine, 1] * (before + after)).astype(np.int64)
            beyond = chosen >= before
            chosen[beyond] += len(pool) - (before + after)[beyond]
            sound[mine], other[mine] = at, pool[chosen]
        return SoundPairs(video, np.where(label == 1, sound, other), sound, label)

    def _far(self, pool: _Indices, sounds: _Indices) -> tuple[_Indices, _Indices]:
        """How many frames of a pool lie before and after the windows around sounds."""
        before = np.searchsorted(pool, sounds - self._window, side="left")
        after = len(pool) - np.searchsorted(pool, sounds + self._window, side="right")
        return before, after


def _name(names: Sequence[str] | None, index: int) -> str:
    return f"Clip {index}" if names is None else f"The clip {names[index]}"
