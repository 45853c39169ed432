"""Looks of uploads of a game, by name, each drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.generators import own_generator
from hxwrappers.video.synthesis.palettes import PALETTES

_RATES = (24.0, 25.0, 30_000 / 1001, 30.0, 50.0, 60.0)
_SIZES = ((240, 320), (240, 426), (270, 480), (288, 352), (360, 480), (360, 640), (480, 640))
_SCREEN = {"height": 480, "width": 640}
_Generator = np.random.Generator


def draw_looks(names: Sequence[str], seed: int) -> dict[str, Any]:
    """Draw the attributes of a style that these looks change.

    Args:
        names: Of `LOOKS`. Of an attribute that two change, the later one's stays.
        seed: What a look draws depends on the seed alone, not on the other looks.

    Returns:
        Attributes of `hxwrappers.video.synthesis.style.Style` by name.

    Raises:
        InvalidArgumentError: There is no such look.

    Example:
        >>> draw_looks(["silent", "palette"], seed=1)
        {'silence': 1.0, 'palette': 'pal'}
    """
    drawn: dict[str, Any] = {}
    for name in names:
        if name not in LOOKS:
            raise InvalidArgumentError(f"There is no style {name!r}; there are {', '.join(LOOKS)}.")
        drawn |= LOOKS[name](own_generator(seed, name))
    return drawn


def _between(generator: _Generator, low: float, high: float) -> float:
    return round(float(generator.uniform(low, high)), 4)


def _away(generator: _Generator, low: float, high: float) -> float:
    """A number whose size lies in a range, of either sign."""
    return _between(generator, low, high) * int(generator.choice([-1, 1]))


def _stranger(generator: _Generator) -> dict[str, Any]:
    height, width = _SIZES[generator.integers(len(_SIZES))]

    def between(low: float, high: float) -> float:
        return _between(generator, low, high)

    return {
        "height": height,
        "width": width,
        "picture_height": between(0.75, 1.0),
        "picture_aspect": between(1.1, width / height),
        "shift_x": between(-0.5, 0.5),
        "shift_y": between(-0.7, 0.7),
        "crop_left": between(0, 0.05),
        "crop_top": between(0, 0.05),
        "crop_right": between(0, 0.05),
        "crop_bottom": between(0, 0.05),
        "border": int(generator.choice([0, 0, 16, 40, 255])),
        "brightness": between(-0.12, 0.12),
        "contrast": between(0.7, 1.25),
        "saturation": between(0.5, 1.4),
        "hue": between(-20, 20),
        "gamma": between(0.75, 1.35),
        "blur": between(1.0, 2.0),
        "noise": between(0, 4),
        "crf": int(generator.integers(22, 34)),
        "frames_per_second": float(generator.choice(_RATES)),
        "skip_seconds": between(0, 0.5),
        "intro_seconds": between(1, 6),
        "outro_seconds": between(1, 5),
        "volume": between(0.3, 1.5),
        "sound_noise": between(0, 0.02),
        "sound_rate": int(generator.choice([32_000, 44_100, 48_000])),
    }


def _colours(generator: _Generator) -> dict[str, Any]:
    return {
        "hue": _away(generator, 25, 90),
        "gamma": float(generator.choice([0.5, 0.65, 1.6, 2.0])),
        "saturation": _between(generator, 0.3, 1.8),
        "contrast": _between(generator, 0.5, 1.4),
        "brightness": _between(generator, -0.2, 0.2),
    }


def _television(generator: _Generator) -> dict[str, Any]:
    return {
        **_SCREEN,
        "scan_lines": _between(generator, 0.4, 0.9),
        "curvature": _between(generator, 0.1, 0.25),
        "vignette": _between(generator, 0.4, 0.9),
    }


def _ntsc(generator: _Generator) -> dict[str, Any]:
    return {
        **_SCREEN,
        "chroma_blur": int(generator.integers(6, 17)),
        "ringing": _between(generator, 0.5, 1.5),
        "noise": _between(generator, 2, 8),
    }


def _rescaled(generator: _Generator) -> dict[str, Any]:
    return {
        "height": 360,
        "width": 480,
        "rescales": int(generator.integers(2, 6)),
        "blur": _between(generator, 2, 5),
        "crf": int(generator.integers(30, 42)),
    }


def _camera(generator: _Generator) -> dict[str, Any]:
    return {
        **_SCREEN,
        "perspective": _between(generator, 0.08, 0.22),
        "shake": _between(generator, 0.002, 0.02),
        "blur": _between(generator, 1, 2),
        "gamma": _between(generator, 0.6, 1.5),
        "noise": _between(generator, 2, 8),
    }


def _overlays(generator: _Generator) -> dict[str, Any]:
    return {
        **_SCREEN,
        "webcam": _between(generator, 0.2, 0.35),
        "logo": _between(generator, 0.08, 0.2),
        "subtitles": _between(generator, 0.04, 0.08),
        "timer": _between(generator, 0.05, 0.1),
    }


LOOKS: Mapping[str, Callable[[_Generator], dict[str, Any]]] = {
    "stranger": _stranger,
    "plain": lambda _: {},
    "palette": lambda generator: {"palette": str(generator.choice(PALETTES[1:]))},
    "colours": _colours,
    "television": _television,
    "ntsc": _ntsc,
    "rescaled": _rescaled,
    "camera": _camera,
    "overlays": _overlays,
    "frames": lambda generator: {
        "drop_share": _between(generator, 0.1, 0.5),
        "ghosting": _between(generator, 0.3, 0.7),
    },
    "rate": lambda generator: {
        "frames_per_second": float(generator.choice([10.0, 12.0, 15.0, *_RATES[:3], 50.0])),
    },
    "speed": lambda generator: {"speed": _between(generator, 0.8, 1.25)},
    "music": lambda generator: {
        "music": _between(generator, 0.15, 0.5),
        "jingles": _between(generator, 4, 20),
        "silence": _between(generator, 0, 0.2),
    },
    "silent": lambda _: {"silence": 1.0},
}
"""What draws each look; new ones go to the end, since a look's seed is its place."""
