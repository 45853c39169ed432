"""How a video of a game looks and sounds: plainly, or like a stranger's upload."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import InvalidArgumentError

__all__ = ["Style"]

_RATES = (24.0, 25.0, 30_000 / 1001, 30.0, 50.0, 60.0)
_SIZES = ((240, 320), (240, 426), (270, 480), (288, 352), (360, 480), (360, 640), (480, 640))
_CROP = (0.0, 0.4)
_SECONDS = (0.0, 3600.0)
_RANGES: dict[str, tuple[float, float]] = {
    "height": (16, 4320),
    "width": (16, 7680),
    "picture_height": (0.05, 1),
    "picture_aspect": (0, 10),
    "shift_x": (-1, 1),
    "shift_y": (-1, 1),
    "crop_left": _CROP,
    "crop_top": _CROP,
    "crop_right": _CROP,
    "crop_bottom": _CROP,
    "border": (0, 255),
    "brightness": (-0.5, 0.5),
    "contrast": (0.01, 3),
    "saturation": (0, 3),
    "hue": (-360, 360),
    "gamma": (0.1, 4),
    "blur": (1, 20),
    "noise": (0, 100),
    "crf": (0, 51),
    "frames_per_second": (1, 240),
    "skip_seconds": _SECONDS,
    "intro_seconds": _SECONDS,
    "outro_seconds": _SECONDS,
    "volume": (0, 100),
    "sound_noise": (0, 1),
    "sound_rate": (8000, 192_000),
}


@dataclass(frozen=True)
class Style:
    """How a video of a game looks and sounds.

    The defaults are the plain style for Atari games: the picture and sound as they are. See `plain`
    for other games.

    Attributes:
        height: Rows of the video, even.
        width: Columns of the video, even.
        picture_height: Share of the rows that the game's picture fills, in (0, 1].
        picture_aspect: Width of the shown picture over its height; 0 fills the whole width.
        shift_x: Where the picture lies across: -1 at the left edge, 0 in the middle, 1 at the
            right edge.
        shift_y: Where it lies down: -1 at the top, 1 at the bottom.
        crop_left: Share of the game's picture that is cut off at its left, in [0, 0.4].
        crop_top: The same at its top.
        crop_right: The same at its right.
        crop_bottom: The same at its bottom.
        border: Level of grey of the border, 0 to 255.
        brightness: Added to the brightness, in [-0.5, 0.5] of its range.
        contrast: Factor of the contrast, in (0, 3].
        saturation: Factor of the colourfulness, in [0, 3].
        hue: Turn of the colours in degrees.
        gamma: Exponent of the brightness, in (0, 4].
        blur: The picture is made smaller by this factor, 1 or more, and larger again.
        noise: Standard deviation of the noise on the pixels, in levels.
        crf: Compression of the pictures, 0 (best) to 51.
        frames_per_second: Rate of the video.
        skip_seconds: How much of the game's beginning is missing.
        intro_seconds: Length of a card before the game, with music.
        outro_seconds: Length of a card after it.
        volume: Factor of the game's sound.
        sound_noise: Standard deviation of the noise on the sound, whose range is [-1, 1].
        sound_rate: Samples a second of the video's sound.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> (Style().height, Style().width), Style.stranger(3).crf
        ((210, 160), 31)
    """

    height: int = 210
    width: int = 160
    picture_height: float = 1.0
    picture_aspect: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    crop_left: float = 0.0
    crop_top: float = 0.0
    crop_right: float = 0.0
    crop_bottom: float = 0.0
    border: int = 0
    brightness: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    gamma: float = 1.0
    blur: float = 1.0
    noise: float = 0.0
    crf: int = 12
    frames_per_second: float = 60.0
    skip_seconds: float = 0.0
    intro_seconds: float = 0.0
    outro_seconds: float = 0.0
    volume: float = 1.0
    sound_noise: float = 0.0
    sound_rate: int = 48_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), _RANGES[field.name]
            if not low <= value <= high:
                raise InvalidArgumentError(
                    f"{field.name} of a style is {value}; it must lie between {low:g} and {high:g}."
                )
        if self.height % 2 or self.width % 2:
            raise InvalidArgumentError(
                f"A video of {self.height} rows and {self.width} columns cannot be written; both "
                "must be even."
            )

    @classmethod
    def plain(cls, picture: npt.NDArray[np.uint8], **chosen: Any) -> Style:
        """The style that leaves a game's picture and sound as they are.

        Args:
            picture: One of the game's pictures, `(rows, columns, 3)`; the video is as large, but
                for the last of an odd number of rows or columns.
            **chosen: Attributes that shall be otherwise.

        Raises:
            InvalidArgumentError: There is no such attribute, or a value is out of range.

        Example:
            >>> style = Style.plain(np.zeros((161, 80, 3), np.uint8), crf=18)
            >>> style.height, style.width, style.crf
            (160, 80, 18)
        """
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        return cls.of({"height": height, "width": width, **chosen})

    @classmethod
    def stranger(cls, seed: int, **chosen: Any) -> Style:
        """A style like that of a stranger's upload: everything is a little, or a lot, different.

        Args:
            seed: Two seeds give two strangers.
            **chosen: Attributes that shall not be left to chance.

        Raises:
            InvalidArgumentError: There is no such attribute, or a value is out of range.
        """
        generator = np.random.default_rng([seed, 0])
        height, width = _SIZES[generator.integers(len(_SIZES))]

        def between(low: float, high: float) -> float:
            return round(float(generator.uniform(low, high)), 4)

        drawn: dict[str, Any] = {
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
        return cls.of({**drawn, **chosen})

    @classmethod
    def of(cls, attributes: dict[str, Any]) -> Style:
        """The plain style for Atari games with some attributes of one's own.

        Args:
            attributes: Values by name.

        Raises:
            InvalidArgumentError: There is no such attribute, or a value is out of range.
        """
        unknown = set(attributes) - set(_RANGES)
        if unknown:
            raise InvalidArgumentError(
                f"A style has no {', '.join(sorted(unknown))}; it has {', '.join(_RANGES)}."
            )
        return cls(**attributes)
