"""Batches of augmented pairs of frames and sounds, made ahead in a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from hxwrappers.errors import VideoError
from hxwrappers.files.generators import own_generator
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.frames import history_of, network_input
from hxwrappers.video.settings import PUBLISHED_INTERVALS, Intervals, PretrainingSettings
from hxwrappers.video.sound import SoundFrontEnd, frame_levels

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


@dataclass(frozen=True)
class TemporalSampler:
    """Draws pairs of frames for temporal distance classification.

    Aytar et al. 2018, section 3.1: a video, an interval, a gap in it and a pair of frames with that
    gap, each drawn uniformly.

    Args:
        lengths: Frames of each video.
        names: What to call the videos in errors.
        intervals: The classes; see `hxwrappers.video.settings.check_intervals`.

    Raises:
        VideoError: A video is too short for the longest gap.

    Example:
        >>> sampler = TemporalSampler([300, 500], ["one", "other"])
        >>> pairs = sampler.draw(np.random.default_rng(0), 4)
        >>> pairs.second - pairs.first
        array([1, 0, 0, 0])
        >>> pairs.label
        array([1, 0, 0, 0])
    """

    lengths: Sequence[int]
    names: Sequence[str]
    intervals: Intervals = PUBLISHED_INTERVALS

    def __post_init__(self) -> None:
        longest = self.intervals[-1][1]
        for name, length in zip(self.names, self.lengths, strict=True):
            if length <= longest:
                raise VideoError(
                    f"The clip {name} has {length} frames, but frames up to {longest} "
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
        names: What to call the videos in errors.
        window: Frames around a sound that are no counterexamples to it.
        sounds: `"sounding"` draws sounds where there is one; `"any"` everywhere.
        negatives: `"any"` draws the frames of counterexamples everywhere; `"sounding"` where there
            is another sound.

    Raises:
        VideoError: A video is silent throughout, or is too short to hold a counterexample.

    Example:
        >>> sounding = np.zeros(100, bool)
        >>> sounding[[20, 70]] = True
        >>> sampler = SoundSampler([sounding], ["one"], window=30)
        >>> pairs = sampler.draw(np.random.default_rng(0), 4)
        >>> bool(np.isin(pairs.sound, [20, 70]).all())
        True
    """

    def __init__(
        self,
        sounding: Sequence[npt.NDArray[np.bool_]],
        names: Sequence[str],
        window: int,
        *,
        sounds: str = "sounding",
        negatives: str = "any",
    ) -> None:
        self._window = window
        self._pools: list[_Indices] = []
        self._sounds: list[_Indices] = []
        for name, flags in zip(names, sounding, strict=True):
            everywhere, heard = np.arange(len(flags)), np.flatnonzero(flags)
            pool = heard if negatives == "sounding" else everywhere
            chosen = heard if sounds == "sounding" else everywhere
            self._pools.append(pool)
            if not len(heard):
                raise VideoError(
                    f"The clip {name} is silent, so that there is no sound to learn from. "
                    "Leave it out, or learn from frames alone (objective tdc)."
                )
            before, after = self._far(pool, chosen)
            chosen = chosen[before + after > 0]
            if not len(chosen):
                raise VideoError(
                    f"The clip {name} with its {len(flags)} frames is too short: none of "
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
        video = generator.integers(len(self._pools), size=number)
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


Window = tuple[int, int, int, int]
"""Top, left, height and width of a rectangle in pixels."""


def draw_window(
    generator: np.random.Generator, height: int, width: int, side: int, zoom: float
) -> Window:
    """Draw the rectangle that is cut out of all frames of a stack.

    Args:
        generator: Where the random numbers come from.
        height: Of the frames.
        width: Of the frames.
        side: Side of the square without zoom.
        zoom: The rectangle's height and width are drawn from `side` times `1 - zoom` to `1 + zoom`,
            each by itself, but are never longer than the frame's.

    Example:
        >>> draw_window(np.random.default_rng(0), 140, 140, 128, 0.0)
        (11, 8, 128, 128)
    """
    size = []
    for limit in (height, width):
        shortest, longest = max(1, round(side * (1 - zoom))), min(limit, round(side * (1 + zoom)))
        size.append(int(generator.integers(shortest, longest, endpoint=True)))
    top = int(generator.integers(height - size[0], endpoint=True))
    left = int(generator.integers(width - size[1], endpoint=True))
    return top, left, size[0], size[1]


def cut(
    frames: npt.NDArray[np.uint8], stack: npt.NDArray[np.int64], window: Window, side: int
) -> npt.NDArray[np.uint8]:
    """Cut the same rectangle out of a stack of frames and bring it to a square.

    Args:
        frames: A clip's frames, `(frames, height, width, 3)`; only what is cut out is read.
        stack: Which frames, `(history,)`.
        window: The rectangle.
        side: Side of the square.

    Returns:
        `(history, side, side, 3)`, `uint8`.
    """
    top, left, height, width = window
    crops = frames[stack, top : top + height, left : left + width]
    if (height, width) == (side, side):
        return crops
    planes = torch.from_numpy(crops).permute(0, 3, 1, 2)
    squares = functional.interpolate(planes, (side, side), mode="bilinear", align_corners=False)
    return squares.permute(0, 2, 3, 1).numpy()


def draw_colour_map(generator: np.random.Generator, stacks: Tensor, strength: float) -> Tensor:
    """Change the colours of each stack by a random linear map and a random brightness.

    A colour is multiplied by a matrix near the identity: a common factor, which changes the
    contrast, and all nine elements by themselves, which change tint and saturation.

    Args:
        generator: Where the random numbers come from.
        stacks: `(batch, history, side, side, 3)`, `uint8`.
        strength: How far elements may be from those of the identity, and half of how far
            the brightness may be from the old one.

    Returns:
        `float32` in [0, 255], of the same shape.
    """
    number = len(stacks)
    contrast = generator.uniform(1 - strength, 1 + strength, (number, 1, 1))
    tint = generator.uniform(-strength / 2, strength / 2, (number, 3, 3))
    brightness = generator.uniform(-strength / 2, strength / 2, (number, 1, 1))
    matrices = torch.from_numpy((contrast * (np.eye(3) + tint)).astype(np.float32))
    shifts = torch.from_numpy((255 * brightness).astype(np.float32))
    colours = stacks.reshape(number, -1, 3).float()
    return torch.baddbmm(shifts, colours, matrices).clamp_(0, 255).view(stacks.shape)


_Made = TypeVar("_Made")
_AHEAD = 3
_SAME_RATE = 1e-3


@dataclass(frozen=True)
class Batch:
    """What one optimiser step learns from.

    Attributes:
        stacks: Inputs of phi, `(frames, 3 * history, side, side)`, `float32`: first the earlier
            frames of the temporal pairs, then the later ones, then the frames of the sound pairs.
        gaps: Classes of the temporal pairs, `(pairs,)`; empty without them.
        sounds: Inputs of psi, `(sounds, bins, columns)`, `float32`; empty without sound.
        together: Whether frame and sound belong together, `(sounds,)`, 0 or 1.
    """

    stacks: Tensor
    gaps: Tensor
    sounds: Tensor
    together: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class BatchMaker:
    """Makes the batch of any step, from the seed and the step's number alone.

    So a training that goes on from a checkpoint sees the batches that it would have seen, and
    batches can be made ahead.

    Args:
        clips: Clips whose frames have the architecture's `frame_size`.
        settings: What pairs to draw.

    Attributes:
        frames_per_second: The clips' common rate.

    Raises:
        VideoError: There are no clips, they differ in rate, are too short, have other sizes,
            or lack the sound that is to be learned from.
    """

    def __init__(self, clips: Sequence[DecodedClip], settings: PretrainingSettings) -> None:
        self._clips = clips
        self._settings = settings
        self.frames_per_second = _common_rate(clips, settings.architecture.frame_size)
        self._temporal: TemporalSampler | None = None
        self._sound: SoundSampler | None = None
        self._names = [clip.name for clip in clips]
        if settings.uses_frames:
            self._temporal = TemporalSampler([*map(len, clips)], self._names, settings.intervals)
        if settings.uses_sound:
            self._prepare_sound()

    def make(self, step: int) -> Batch:
        """Make the batch of a step.

        Args:
            step: From 0.
        """
        generator = own_generator(self._settings.seed, step)
        number = self._settings.batch_size
        videos, frames = [], []
        gaps = together = np.zeros(0, np.int64)
        architecture = self._settings.architecture
        sounds = torch.zeros(0, architecture.bins, architecture.columns)
        if self._temporal is not None:
            pairs = self._temporal.draw(generator, number)
            videos += [pairs.video, pairs.video]
            frames += [pairs.first, pairs.second]
            gaps = pairs.label
        if self._sound is not None:
            heard = self._sound.draw(generator, number)
            videos.append(heard.video)
            frames.append(heard.frame)
            together = heard.label
            sounds = self._spectrograms(heard.video, heard.sound)
        stacks = self._stacks(generator, np.concatenate(videos), np.concatenate(frames))
        return Batch(stacks, torch.from_numpy(gaps), sounds, torch.from_numpy(together))

    def _stacks(
        self,
        generator: np.random.Generator,
        videos: npt.NDArray[np.int64],
        frames: npt.NDArray[np.int64],
    ) -> Tensor:
        settings, architecture = self._settings, self._settings.architecture
        side = architecture.crop_size
        stacks = np.empty((len(videos), architecture.history, side, side, 3), np.uint8)
        history = history_of(frames, architecture.history)
        for stack, video, indices in zip(stacks, videos.tolist(), history, strict=True):
            size = (architecture.frame_size, architecture.frame_size)
            window = draw_window(generator, *size, side, settings.augment_zoom)
            stack[:] = cut(self._clips[video].frames, indices, window, side)
        pictures = torch.from_numpy(stacks)
        if settings.augment_colour:
            pictures = draw_colour_map(generator, pictures, settings.augment_colour)
        return network_input(pictures)

    def _prepare_sound(self) -> None:
        settings, architecture = self._settings, self._settings.architecture
        levels = [frame_levels(clip) for clip in self._clips]
        rates = sorted({clip.sample_rate for clip in self._clips})
        if len(rates) > 1:
            raise VideoError(
                f"The clips have {' and '.join(map(str, rates))} samples of sound per second; "
                "decode them all at the same rate."
            )
        self._sound = SoundSampler(
            [(level > 0) & (level >= settings.sound_threshold * level.max()) for level in levels],
            self._names,
            round(settings.negative_seconds * self.frames_per_second),
            sounds=settings.sounds,
            negatives=settings.negatives,
        )
        # Uploads differ in volume, which says nothing about what is heard.
        self._gains = [1.0 / float(level.max()) for level in levels]
        self._front_end = SoundFrontEnd(
            settings.sound, rates[0], architecture.bins, architecture.columns
        )

    def _spectrograms(self, videos: npt.NDArray[np.int64], frames: npt.NDArray[np.int64]) -> Tensor:
        snippets = np.empty((len(videos), self._front_end.samples), np.float32)
        for index, clip in enumerate(self._clips):
            mine = videos == index
            times = frames[mine] / clip.frames_per_second
            snippets[mine] = self._front_end.snippets(clip.sound, times) * self._gains[index]
        return self._front_end.spectrograms(snippets)


def prefetch(
    make: Callable[[int], _Made], start: int, stop: int, *, ahead: int = _AHEAD
) -> Generator[_Made, None, None]:
    """Make things one after the other in a thread, a few ahead of the one that is asked for.

    Args:
        make: Makes the thing of a number; what it raises is raised here.
        start: The first number.
        stop: One more than the last.
        ahead: How many are made ahead.

    Example:
        >>> list(prefetch(lambda number: number * number, 2, 6))
        [4, 9, 16, 25]
    """
    # OpenMP counts threads for each thread anew; without this, sums would be in another order here.
    executor = ThreadPoolExecutor(1, "batches", torch.set_num_threads, (torch.get_num_threads(),))
    waiting: deque[Future[_Made]] = deque()
    try:
        for number in range(start, stop):
            waiting.append(executor.submit(make, number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _common_rate(clips: Sequence[DecodedClip], size: int) -> float:
    if not clips:
        raise VideoError("There are no clips to learn from; give at least one.")
    for clip in clips:
        if clip.frames.shape[1:] != (size, size, 3):
            raise VideoError(
                f"The frames of {clip.name} have the shape {clip.frames.shape[1:]}, but the "
                f"networks take {(size, size, 3)}. Load the clips with "
                f"load_clips(paths, ({size}, {size}))."
            )
    rates = [clip.frames_per_second for clip in clips]
    if max(rates) > min(rates) * (1 + _SAME_RATE):
        raise VideoError(
            f"The clips show {', '.join(f'{rate:g}' for rate in rates)} frames per second; gaps "
            "between frames mean the same only at one rate. Decode them all at the same."
        )
    return rates[0]
