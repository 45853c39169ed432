"""Effects on pictures: palettes, televisions, rescaling, cameras, overlays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.modules import import_optional
from hxwrappers.files.video_file import pyav
from hxwrappers.video.synthesis.style import Style

TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""From RGB to brightness and the two colour signals of NTSC television."""

_LEVELS = 32
_HUES, _LUMAS = 16, 8
_GOLD = -33.0  # degrees, of the first coloured hue
_CHROMA = 0.22
_NTSC_STEP = 26.2
# Of an emulator whose colour dial stands a little off, which turns the last hues by 45 degrees.
_OTHER_NTSC_STEP = 29.4
_PAL_STEP = 31.3
# SECAM consoles show eight colours, by brightness alone.
_SECAM = (
    (0x00, 0x00, 0x00),
    (0x21, 0x21, 0xFF),
    (0xF0, 0x3C, 0x79),
    (0xFF, 0x50, 0xFF),
    (0x7F, 0xFF, 0x00),
    (0x7F, 0xFF, 0xFF),
    (0xFF, 0xFF, 0x3F),
    (0xFF, 0xFF, 0xFF),
)
_Colours = npt.NDArray[np.uint8]
_Picture = npt.NDArray[np.uint8]


def palette_table(palette: str) -> _Colours:
    """What each colour of a game made for NTSC becomes.

    The colour is taken for the nearest of the 128 that an NTSC console makes, 16 hues of 8
    brightnesses, and that hue and brightness are looked up in the other palette. NTSC hues lie
    26.2 degrees apart, PAL ones 31.3, alternately to both sides of gold.

    Args:
        palette: One of `hxwrappers.video.synthesis.style.PALETTES` but `"game"`.

    Returns:
        `(32, 32, 32, 3)`, RGB, `uint8`, by the upper five bits of red, green and blue.

    Example:
        >>> table = palette_table("secam")
        >>> table[31, 31, 31].tolist(), table[0, 0, 0].tolist()
        ([255, 255, 255], [0, 0, 0])
    """
    colours = {
        "ntsc": _ntsc(_OTHER_NTSC_STEP),
        "pal": _pal(),
        "secam": np.tile(np.array(_SECAM, np.uint8), (_HUES, 1)),
    }[palette]
    level = (np.arange(_LEVELS) * 255 / (_LEVELS - 1)).astype(np.float32)
    cube = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3)
    console = _ntsc(_NTSC_STEP).astype(np.float32)
    # Of the squared distance, the part that differs between the console's colours.
    nearest = ((console**2).sum(1) - 2 * cube @ console.T).argmin(1)
    table: _Colours = colours[nearest].reshape(_LEVELS, _LEVELS, _LEVELS, 3)
    return table


def _ntsc(step: float) -> _Colours:
    return _shifted(_GOLD + step * np.arange(-1.0, _HUES - 1), grey=(0,))


def _pal() -> _Colours:
    hues = np.arange(_HUES)
    away = np.where(hues % 2, -(hues - 1) / 2, (hues - 2) / 2)
    return _shifted(_GOLD + _PAL_STEP * away, grey=(0, 1, 14, 15))


def _shifted(degrees: npt.NDArray[Any], grey: tuple[int, ...]) -> _Colours:
    """The 128 colours of hues at these angles, `(128, 3)`, a hue's brightnesses in a row."""
    share = np.arange(_LUMAS) / (_LUMAS - 1)
    coloured = ~np.isin(np.arange(_HUES), grey)[:, None]
    bright = np.where(coloured, 0.2 + 0.7 * share**0.8, 0.925 * share**0.62)
    angle = np.radians(degrees)[:, None]
    chroma = np.where(coloured, _CHROMA, 0.0)
    parts = np.broadcast_arrays(bright, chroma * np.cos(angle), chroma * np.sin(angle))
    signals = np.stack(parts, axis=-1)
    colours = signals.reshape(-1, 3) @ np.linalg.inv(TO_YIQ).T
    return np.asarray(np.round(255 * np.clip(colours, 0, 1)), np.uint8)


def opencv() -> Any:
    """The package OpenCV.

    Raises:
        gymnasium.error.DependencyNotInstalled: It is not installed.
    """
    return import_optional("cv2", "This style of a video needs OpenCV", "video")


class FilterChain:
    """Filters of FFmpeg that give a picture for every picture.

    Args:
        height: Rows of the pictures.
        width: Columns of the pictures.
        filters: Names and options of the filters.

    Example:
        >>> negative = FilterChain(16, 16, [("negate", "")])
        >>> int(negative(np.full((16, 16, 3), 55, np.uint8)).mean())
        200
    """

    def __init__(self, height: int, width: int, filters: Sequence[tuple[str, str]]) -> None:
        self._av = pyav()
        from av.filter import Graph  # noqa: PLC0415 - optional

        self._graph: Any = Graph()
        base, rgb = Fraction(1, 60), self._av.VideoFormat("rgb24", width, height)
        source = self._graph.add_buffer(width=width, height=height, format=rgb, time_base=base)
        nodes = [self._graph.add(name, options) for name, options in filters]
        ends = self._graph.add("format", "rgb24"), self._graph.add("buffersink")
        self._graph.link_nodes(source, *nodes, *ends).configure()
        self._base, self._count = base, 0

    def __call__(self, picture: _Picture) -> _Picture:
        """Put one picture through, `(height, width, 3)`, RGB, `uint8`."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self._count, self._base
        self._count += 1
        self._graph.push(frame)
        filtered: _Picture = self._graph.pull().to_ndarray()
        return filtered


def television_filters(style: Style) -> list[tuple[str, str]]:
    """The filters that make a television of a screen: colours that bleed, a tube that bends.

    Args:
        style: Its `chroma_blur`, `ringing`, `scan_lines`, `curvature` and `vignette`.

    Example:
        >>> television_filters(Style(vignette=0.5))
        [('vignette', 'angle=0.5')]
    """
    filters = []
    if style.chroma_blur:
        width = style.chroma_blur
        bleed = f"sizeX={width}:sizeY=1:planes=6", f"cbh={width // 2}:crh={width // 3}"
        filters += [("format", "yuv444p"), ("avgblur", bleed[0]), ("chromashift", bleed[1])]
    if style.ringing:
        filters.append(("unsharp", f"lx=7:ly=3:la={style.ringing}:cx=3:cy=3:ca=0"))
    if style.scan_lines:
        # A line takes two rows at least, one of them dark, and there are no more than 240.
        rows = max(2, style.height // 240)
        dark = f"w=iw:h={rows}:t={rows // 2}:color=black@{style.scan_lines}"
        filters += [("format", "yuv444p"), ("drawgrid", dark)]
    if style.curvature:
        bend = f"k1={style.curvature / 2}:k2={style.curvature / 2}:i=bilinear"
        filters.append(("lenscorrection", bend))
    if style.vignette:
        filters.append(("vignette", f"angle={style.vignette}"))
    return filters


class Rescales:
    """A chain of copies: each of another size, by another interpolation, compressed again.

    Args:
        number: Copies.
        generator: Draws them.

    Example:
        >>> chain = Rescales(3, np.random.default_rng(0))
        >>> chain(np.zeros((60, 80, 3), np.uint8)).shape[2]
        3
    """

    def __init__(self, number: int, generator: np.random.Generator) -> None:
        self._cv2 = opencv()
        ways = (
            self._cv2.INTER_NEAREST,
            self._cv2.INTER_LINEAR,
            self._cv2.INTER_CUBIC,
            self._cv2.INTER_AREA,
            self._cv2.INTER_LANCZOS4,
        )
        self._copies = [
            (*generator.uniform(0.5, 1.1, 2), ways[generator.integers(len(ways))], quality)
            for quality in generator.integers(30, 85, number)
        ]

    def __call__(self, picture: _Picture) -> _Picture:
        """The last copy, whose size is not the picture's."""
        height, width = picture.shape[:2]
        for across, down, way, quality in self._copies:
            size = max(2, round(across * width)), max(2, round(down * height))
            copy = self._cv2.resize(picture, size, interpolation=way)
            options = [self._cv2.IMWRITE_JPEG_QUALITY, int(quality)]
            _, coded = self._cv2.imencode(".jpg", copy, options)
            picture = self._cv2.imdecode(coded, self._cv2.IMREAD_COLOR)
        return picture


class Camera:
    """A hand-held camera that films a screen from aside.

    Args:
        style: Its `height`, `width`, `perspective`, `shake` and `frames_per_second`.
        generator: Draws where the camera stands and how the hand moves.
        wall: What is behind the screen, as large as the video.

    Example:
        >>> style = Style(height=60, width=80, perspective=0.2)
        >>> camera = Camera(style, np.random.default_rng(0), np.zeros((60, 80, 3), np.uint8))
        >>> filmed = camera(np.full((60, 80, 3), 200, np.uint8))
        >>> filmed.shape, bool(100 < filmed.mean() < 199)
        ((60, 80, 3), True)
    """

    def __init__(self, style: Style, generator: np.random.Generator, wall: _Picture) -> None:
        self._cv2 = opencv()
        self._size = np.array([style.width, style.height], np.float32)
        self._wall = wall
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        inwards = np.sign(0.5 - corners) * generator.uniform(0, style.perspective, (4, 2))
        seen = (corners + inwards).astype(np.float32)
        self._view = self._cv2.getPerspectiveTransform(corners * self._size, seen * self._size)
        self._shake = style.shake * style.height
        self._speeds = generator.uniform(0.2, 2.5, (3, 2)) * 2 * np.pi / style.frames_per_second
        self._phases = generator.uniform(0, 2 * np.pi, (3, 2))
        self._count = 0

    def __call__(self, picture: _Picture) -> _Picture:
        """What the camera sees of a screen that shows this picture."""
        moved = np.eye(3)
        moved[:2, 2] = self._shake * np.sin(self._speeds * self._count + self._phases).mean(0)
        self._count += 1
        width, height = int(self._size[0]), int(self._size[1])
        filmed: _Picture = self._cv2.warpPerspective(
            picture,
            moved @ self._view,
            (width, height),
            dst=self._wall.copy(),
            borderMode=self._cv2.BORDER_TRANSPARENT,
        )
        return filmed


_WORDS = ("here", "we", "go", "again", "watch", "this", "skull", "jump", "now", "careful", "nice")
_SUBTITLE_SECONDS = 3.0
_LETTER_ROWS = 22.0  # of OpenCV's font at scale 1


class Overlays:
    """Lays what a style says over pictures.

    Args:
        style: Its `webcam`, `logo`, `subtitles`, `timer`, `height`, `width` and
            `frames_per_second`.
        generator: Draws places, colours and words.

    Example:
        >>> style = Style(height=120, width=160, timer=0.1)
        >>> laid = Overlays(style, np.random.default_rng(0))(np.zeros((120, 160, 3), np.uint8))
        >>> bool(laid[:30].any()), bool(laid[40:].any())
        (True, False)
    """

    def __init__(self, style: Style, generator: np.random.Generator) -> None:
        self._cv2 = opencv()
        self._style = style
        self._left = bool(generator.integers(2))
        self._colours = generator.integers(40, 256, (4, 3)).tolist()
        self._sway = generator.uniform(0.2, 1.0, 2) * 2 * math.pi
        self._words = generator.choice(_WORDS, (16, 4))
        self._begin = float(generator.uniform(0, 300))
        self._count = 0

    def __call__(self, picture: _Picture) -> _Picture:
        """The picture with everything on it; a new array."""
        seconds = self._count / self._style.frames_per_second
        self._count += 1
        laid = picture.copy()
        if self._style.webcam:
            self._lay_webcam(laid, seconds)
        if self._style.logo:
            self._lay_logo(laid)
        if self._style.subtitles:
            self._lay_subtitles(laid, seconds)
        if self._style.timer:
            minutes, rest = divmod(self._begin + seconds, 60)
            rows = self._style.timer * self._style.height
            self._write(laid, f"{int(minutes)}:{rest:05.2f}", rows, 1.5 * rows, self._colours[0])
        return laid

    def _lay_webcam(self, laid: _Picture, seconds: float) -> None:
        """A head that sways before a wall, in a lower corner."""
        high, all_rows = round(self._style.webcam * laid.shape[0]), laid.shape[0]
        wide = min(laid.shape[1], round(high * 4 / 3))
        if min(high, wide) < 2:
            return
        left = 0 if self._left else laid.shape[1] - wide
        corner = laid[all_rows - high :, left : left + wide]
        corner[:] = self._colours[1]
        window = np.ascontiguousarray(corner)
        x, y = (
            0.5 + 0.12 * math.sin(seconds * self._sway[0]),
            0.5 + 0.05 * math.sin(seconds * self._sway[1]),
        )
        head = round(x * wide), round(y * high)
        for centre, axes, colour in (
            ((head[0], high), (round(0.4 * wide), round(0.35 * high)), self._colours[2]),
            (head, (round(0.16 * wide), round(0.3 * high)), (224, 172, 138)),
        ):
            self._cv2.ellipse(window, centre, axes, 0, 0, 360, colour, -1)
        corner[:] = window

    def _lay_logo(self, laid: _Picture) -> None:
        """A disc in an upper corner, three quarters opaque."""
        radius = round(self._style.logo * laid.shape[0] / 2)
        x = laid.shape[1] - 2 * radius if self._left else 2 * radius
        drawn = laid.copy()
        self._cv2.circle(drawn, (x, 2 * radius), radius, self._colours[3], -1)
        self._cv2.circle(drawn, (x, 2 * radius), radius // 2, self._colours[0], -1)
        self._cv2.addWeighted(drawn, 0.75, laid, 0.25, 0, dst=laid)

    def _lay_subtitles(self, laid: _Picture, seconds: float) -> None:
        """Four words that give way to others; nothing every third time."""
        line = int(seconds / _SUBTITLE_SECONDS)
        if line % 3 != 2:
            rows = self._style.subtitles * laid.shape[0]
            text = " ".join(self._words[line % len(self._words)])
            self._write(laid, text, rows, 0.95 * laid.shape[0], (255, 255, 255))

    def _write(
        self, laid: _Picture, text: str, rows: float, base: float, colour: tuple[int, int, int]
    ) -> None:
        """Write in the middle of the columns, with a black edge."""
        font, scale = self._cv2.FONT_HERSHEY_SIMPLEX, rows / _LETTER_ROWS
        thick = max(1, round(2 * scale))
        (wide, _), _ = self._cv2.getTextSize(text, font, scale, thick)
        place = (laid.shape[1] - wide) // 2, round(base)
        for paint, width in (((0, 0, 0), 3 * thick), (colour, thick)):
            self._cv2.putText(laid, text, place, font, scale, paint, width, self._cv2.LINE_AA)
