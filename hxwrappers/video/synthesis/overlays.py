"""Overlays of uploaders: themselves, a logo, subtitles and a timer."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hxwrappers.video.synthesis.effects import opencv
from hxwrappers.video.synthesis.style import Style

_Picture = npt.NDArray[np.uint8]
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
