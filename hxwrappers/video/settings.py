"""Settings of pretraining: published ones, and presets for a CPU."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hxwrappers._utils.checks import plain_numbers, require_choice, require_count, require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.video.embedder import Architecture
from hxwrappers.video.sound import SoundSettings

Intervals = tuple[tuple[int, int], ...]
"""The shortest and the longest gap in frames of each class, both included."""

PUBLISHED_INTERVALS: Intervals = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 20), (21, 200))
"""The six classes of Aytar et al. 2018, section 3.1."""

OBJECTIVES = ("tdc", "cmc", "both")


def check_intervals(intervals: Intervals) -> None:
    """Refuse intervals that overlap, are out of order or hold negative gaps.

    Raises:
        InvalidArgumentError: Says what must be.

    Example:
        >>> check_intervals(PUBLISHED_INTERVALS)
    """
    rising = all(low <= high for low, high in intervals)
    apart = all(before < after for (_, before), (after, _) in pairwise(intervals))
    if len(intervals) < 2 or not rising or not apart or intervals[0][0] < 0:
        raise InvalidArgumentError(
            f"The intervals are {intervals}; they must be two or more pairs of a shortest and a "
            "longest gap, rising, without overlap, from 0 on."
        )


@dataclass(frozen=True)
class PretrainingSettings:
    """How an embedding is learned.

    The defaults are those of Aytar et al. 2018 (arXiv 1805.11592) where it gives any; it leaves
    open `cmc_weight`, `negative_seconds`, `sounds`, `negatives`, `sound_threshold`, and has neither
    `augment_zoom` nor `augment_colour`.

    Args:
        architecture: The networks' sizes.
        sound: How sound becomes spectrograms.
        objective: `"tdc"` learns from frames alone, `"cmc"` from frames and their sound, `"both"`
            from the sum of the two losses.
        intervals: The classes of gaps between frames.
        steps: Optimiser steps.
        batch_size: Pairs of frames, and of frames and sounds, in a step.
        learning_rate: Adam's learning rate.
        cmc_weight: Factor of the cross-modal loss, lambda in the paper.
        negative_seconds: Only frames further than this from a sound are counterexamples to it.
        sounds: `"sounding"` draws sounds where there is one, `"any"` everywhere.
        negatives: `"any"` or `"sounding"`, where counterexamples' frames are drawn.
        sound_threshold: There is a sound where it is at least this share of the clip's loudest.
        augment_zoom: A crop's height and width vary by up to this share, each by itself.
        augment_colour: Strength of a random linear map of a stack's colours; 0 leaves them.
        precision: `"float32"`, or `"bfloat16"` for the products inside the networks.
        seed: Seed of weights and sampling.

    Raises:
        InvalidArgumentError: A setting out of range.
    """

    architecture: Architecture = field(default_factory=Architecture)
    sound: SoundSettings = field(default_factory=SoundSettings)
    objective: str = "both"
    intervals: Intervals = PUBLISHED_INTERVALS
    steps: int = 200_000
    batch_size: int = 32
    learning_rate: float = 1e-4
    cmc_weight: float = 1.0
    negative_seconds: float = 2.0
    sounds: str = "sounding"
    negatives: str = "any"
    sound_threshold: float = 0.1
    augment_zoom: float = 0.0
    augment_colour: float = 0.0
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        plain_numbers(self)
        check_intervals(self.intervals)
        require_count("steps", self.steps, 1)
        require_count("batch_size", self.batch_size, 2)
        require_range("learning_rate", self.learning_rate, above=0.0)
        require_count("seed", self.seed)
        for name in ("cmc_weight", "negative_seconds"):
            require_range(name, getattr(self, name), minimum=0)
        for name in ("sound_threshold", "augment_zoom", "augment_colour"):
            require_range(name, getattr(self, name), minimum=0.0, maximum=1.0)
        require_choice("objective", self.objective, OBJECTIVES)
        require_choice("precision", self.precision, ("float32", "bfloat16"))
        require_choice("sounds", self.sounds, ("any", "sounding"))
        require_choice("negatives", self.negatives, ("any", "sounding"))

    @property
    def uses_frames(self) -> bool:
        """Whether gaps between frames are learned from."""
        return self.objective != "cmc"

    @property
    def uses_sound(self) -> bool:
        """Whether sound is learned from."""
        return self.objective != "tdc"


_SMALL: dict[str, Any] = {
    "frame_size": 72,
    "crop_size": 64,
    "channels": (16, 32, 32),
    "hidden": 256,
    "dimension": 256,
    "sound_channels": (16, 32, 64, 64),
    "head": "batch_norm",
    "product_scale": 256.0,
    "steps": 4000,
    "learning_rate": 1e-3,
    "augment_zoom": 0.1,
    "augment_colour": 0.3,
}
PRESETS: dict[str, dict[str, Any]] = {"paper": {}, "small": _SMALL}
"""What each preset changes of the published settings."""


def preset(name: str, **changes: Any) -> PretrainingSettings:
    """Settings by name, with changes.

    Args:
        name: `"paper"`, as published, or `"small"`: smaller frames, widths and fewer steps, which a
            CPU can train.
        **changes: Settings of `PretrainingSettings`, `Architecture` or `SoundSettings` to change.

    Raises:
        InvalidArgumentError: There is no such preset or setting, or a value is out of range.

    Example:
        >>> preset("small", steps=10, head="relu").architecture.head
        'relu'
    """
    if name not in PRESETS:
        raise InvalidArgumentError(
            f"There is no preset {name!r}; there are {', '.join(sorted(PRESETS))}."
        )
    rest = {**PRESETS[name], **changes}
    parts: dict[str, Any] = {}
    for part, kind in (("architecture", Architecture), ("sound", SoundSettings)):
        names = {entry.name for entry in dataclasses.fields(kind)}
        parts[part] = kind(**{key: rest.pop(key) for key in names & set(rest)})
    known = {entry.name for entry in dataclasses.fields(PretrainingSettings)} - set(parts)
    unknown = sorted(set(rest) - known)
    if unknown:
        raise InvalidArgumentError(f"There is no setting {', '.join(unknown)}.")
    return PretrainingSettings(**parts, **rest)
