"""Styles of made videos, and the looks by name from which a seed draws them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import require_choice
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.generators import own_generator

PALETTES = ("game", "ntsc", "pal", "secam")
"""The game's own colours, and what else they are seen in."""

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
"""What draws each look."""


def _in(default: Any, low: float, high: float) -> Any:
    """A field that starts at `default` and lies between two numbers."""
    return field(default=default, metadata={"range": (low, high)})


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
        palette: Colours of another television standard, for Atari games: `"game"` (as they are),
            `"ntsc"` (an emulator whose hues stand off), `"pal"`, or `"secam"`, which has eight.
        rescales: How often the picture was resized and compressed before, 0 to 8.
        chroma_blur: Columns over which colours bleed, as in NTSC's signal, 0 to 40.
        ringing: Strength of the edges' echo, as in NTSC's signal, in [0, 1.5].
        scan_lines: Darkness of the gaps between a television's lines, in [0, 1].
        curvature: Bend of a television's tube, in [0, 0.5].
        vignette: How much darker the corners are: the angle of the lens, in [0, 1] radians.
        perspective: The screen is filmed from aside: share of the sides by which each corner may
            move inwards, in [0, 0.3].
        shake: How far the camera moves, as share of the rows, in [0, 0.1].
        webcam: Height of a picture of the player in a lower corner, as share of the rows.
        logo: Height of a logo in an upper corner, as share of the rows.
        subtitles: Height of subtitles' letters, as share of the rows.
        timer: Height of a running clock's digits, as share of the rows.
        drop_share: Share of the frames that show the one before again, in [0, 0.9].
        ghosting: Share of the frame before in each frame, in [0, 0.95].
        speed: How much faster the game is shown and heard, in [0.25, 4].
        music: Loudness of music over the game's sound, in [0, 1].
        jingles: Alerts of an uploader's software in a minute, 0 to 60.
        silence: Share of the game's time without sound, in stretches of 5 seconds; with 1 the
            video has no sound at all.

    Raises:
        InvalidArgumentError: A number is out of range or none, or there is no such palette.

    Example:
        >>> (Style().height, Style().width), Style.stranger(3).crf
        ((210, 160), 30)
    """

    height: int = _in(210, 16, 4_320)
    width: int = _in(160, 16, 7_680)
    picture_height: float = _in(1.0, 0.05, 1)
    picture_aspect: float = _in(0.0, 0, 10)
    shift_x: float = _in(0.0, -1, 1)
    shift_y: float = _in(0.0, -1, 1)
    crop_left: float = _in(0.0, 0, 0.4)
    crop_top: float = _in(0.0, 0, 0.4)
    crop_right: float = _in(0.0, 0, 0.4)
    crop_bottom: float = _in(0.0, 0, 0.4)
    border: int = _in(0, 0, 255)
    brightness: float = _in(0.0, -0.5, 0.5)
    contrast: float = _in(1.0, 0.01, 3)
    saturation: float = _in(1.0, 0, 3)
    hue: float = _in(0.0, -360, 360)
    gamma: float = _in(1.0, 0.1, 4)
    blur: float = _in(1.0, 1, 20)
    noise: float = _in(0.0, 0, 100)
    crf: int = _in(12, 0, 51)
    frames_per_second: float = _in(60.0, 1, 240)
    skip_seconds: float = _in(0.0, 0, 3_600)
    intro_seconds: float = _in(0.0, 0, 3_600)
    outro_seconds: float = _in(0.0, 0, 3_600)
    volume: float = _in(1.0, 0, 100)
    sound_noise: float = _in(0.0, 0, 1)
    sound_rate: int = _in(48_000, 8_000, 192_000)
    palette: str = "game"
    rescales: int = _in(0, 0, 8)
    chroma_blur: int = _in(0, 0, 40)
    ringing: float = _in(0.0, 0, 1.5)
    scan_lines: float = _in(0.0, 0, 1)
    curvature: float = _in(0.0, 0, 0.5)
    vignette: float = _in(0.0, 0, 1)
    perspective: float = _in(0.0, 0, 0.3)
    shake: float = _in(0.0, 0, 0.1)
    webcam: float = _in(0.0, 0, 0.5)
    logo: float = _in(0.0, 0, 0.5)
    subtitles: float = _in(0.0, 0, 0.3)
    timer: float = _in(0.0, 0, 0.3)
    drop_share: float = _in(0.0, 0, 0.9)
    ghosting: float = _in(0.0, 0, 0.95)
    speed: float = _in(1.0, 0.25, 4)
    music: float = _in(0.0, 0, 1)
    jingles: float = _in(0.0, 0, 60)
    silence: float = _in(0.0, 0, 1)

    def __post_init__(self) -> None:
        for one in fields(self):
            if "range" not in one.metadata:
                continue
            name, (low, high) = one.name, one.metadata["range"]
            value: Any = getattr(self, name)
            whole = one.type == "int"
            kind = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if not (kind and low <= value <= high):
                number = "a whole number" if whole else "a number"
                raise InvalidArgumentError(
                    f"{name} of a style is {value!r}; it must be {number} between {low:g} and "
                    f"{high:g}."
                )
        require_choice("palette of a style", self.palette, PALETTES)
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
        return cls.upload(["stranger"], seed, **chosen)

    @classmethod
    def upload(
        cls,
        looks: Sequence[str],
        seed: int,
        *,
        picture: npt.NDArray[np.uint8] | None = None,
        **chosen: Any,
    ) -> Style:
        """A style that differs from the game in the ways that are named, and in no others.

        Args:
            looks: Names from `hxwrappers.video.synthesis.style.LOOKS`; of what two change, the
                later's stays.
            seed: Two seeds give two uploaders.
            picture: One of the game's pictures, which sets the size where no look does.
            **chosen: Attributes that shall not be left to chance.

        Raises:
            InvalidArgumentError: There is no such look or attribute, or a value is out of range.

        Example:
            >>> style = Style.upload(["television", "silent"], seed=4, frames_per_second=30.0)
            >>> style.height, style.scan_lines > 0.3, style.silence, style.hue
            (480, True, 1.0, 0.0)
        """
        drawn = {**draw_looks(looks, seed), **chosen}
        return cls.of(drawn) if picture is None else cls.plain(picture, **drawn)

    @classmethod
    def of(cls, attributes: dict[str, Any]) -> Style:
        """The plain style for Atari games with some attributes of one's own.

        Args:
            attributes: Values by name.

        Raises:
            InvalidArgumentError: There is no such attribute, or a value is out of range.
        """
        names = [field.name for field in fields(cls)]
        unknown = set(attributes) - set(names)
        if unknown:
            raise InvalidArgumentError(
                f"A style has no {', '.join(sorted(unknown))}; it has {', '.join(names)}."
            )
        return cls(**attributes)
