"""Effects of televisions and cameras on pictures, by FFmpeg's filters and OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.modules import import_optional
from hxwrappers.files.video_file import pyav
from hxwrappers.video.synthesis.style import Style

_Picture = npt.NDArray[np.uint8]


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
