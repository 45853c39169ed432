"""The styler: a game's pictures and sounds put into a style."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hxwrappers.video.frames import resize_frames
from hxwrappers.video.synthesis.effects import (
    TO_YIQ,
    Camera,
    FilterChain,
    Overlays,
    Rescales,
    opencv,
    palette_table,
    television_filters,
)
from hxwrappers.video.synthesis.style import Style

_NOTES_PER_SECOND = 5
_CARD_MUSIC = 0.2
_STRETCH_SECONDS = 5.0
_JINGLE = (1.0, 1.25, 1.5, 2.0)  # the notes' frequencies, of a base's


class Styler:
    """Puts a game's pictures and sounds into a style.

    Args:
        style: The style.
        generator: Draws the noise, the cards and what else is left to chance.

    Raises:
        gymnasium.error.DependencyNotInstalled: The style needs OpenCV or PyAV, not installed.

    Example:
        >>> styler = Styler(Style(height=48, width=64), np.random.default_rng(0))
        >>> styler.picture(np.full((210, 160, 3), 9, np.uint8)).shape
        (48, 64, 3)
    """

    def __init__(self, style: Style, generator: np.random.Generator) -> None:
        self.style = style
        self._generator = generator
        turn = math.radians(style.hue)
        cos, sin = math.cos(turn) * style.saturation, math.sin(turn) * style.saturation
        change = style.contrast * np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        self._colours = (np.linalg.inv(TO_YIQ) @ change @ TO_YIQ).T.astype(np.float32)
        self._added = 255 * (style.brightness + 0.5 * (1 - style.contrast))
        self._gamma = np.round(255 * (np.arange(256) / 255) ** style.gamma).astype(np.uint8)
        self._place = self._lay_out()
        self._notes = 220 * 2 ** (generator.integers(0, 24, 16) / 12)
        self._card = self._draw_card(generator)
        # What follows draws from streams of its own, so that noise and cards stay the seed's.
        rescales, camera, overlays, self._drops, sounds = generator.spawn(5)
        self._palette = None if style.palette == "game" else palette_table(style.palette)
        self._rescales = Rescales(style.rescales, rescales) if style.rescales else None
        filters = television_filters(style)
        self._television = FilterChain(style.height, style.width, filters) if filters else None
        filmed = style.perspective or style.shake
        wall = (0.4 * self._draw_card(camera)).astype(np.uint8) if filmed else None
        self._camera = None if wall is None else Camera(style, camera, wall)
        laid = style.webcam or style.logo or style.subtitles or style.timer
        self._overlays = Overlays(style, overlays) if laid else None
        self._cv2 = opencv() if style.ghosting else None
        self._before: npt.NDArray[np.uint8] | None = None
        self._heard = 0
        self._silent = sounds.random(256) < style.silence
        self._jingle_at, self._jingle_base = sounds.uniform(0, 60), sounds.uniform(400, 900)

    def picture(self, frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A frame of the video that shows a picture of the game.

        Args:
            frame: `(rows, columns, 3)`, RGB, `uint8`.

        Returns:
            `(height, width, 3)`, RGB, `uint8`.
        """
        style = self.style
        rows, columns = frame.shape[:2]
        seen = frame[
            round(style.crop_top * rows) : rows - round(style.crop_bottom * rows),
            round(style.crop_left * columns) : columns - round(style.crop_right * columns),
        ]
        if self._palette is not None:
            red, green, blue = np.moveaxis(seen >> 3, -1, 0)
            seen = self._palette[red, green, blue]
        coloured = seen.reshape(-1, 3).astype(np.float32) @ self._colours + self._added
        rounded = np.clip(np.round(coloured), 0, 255).astype(np.uint8)
        pictures = self._gamma[rounded].reshape(1, *seen.shape)
        top, left, height, width = self._place
        if style.blur > 1:
            small = max(1, round(height / style.blur)), max(1, round(width / style.blur))
            pictures = resize_frames(pictures, small)
        if self._rescales is not None:
            pictures = self._rescales(pictures[0])[None]
        canvas = np.full((style.height, style.width, 3), style.border, np.uint8)
        canvas[top : top + height, left : left + width] = resize_frames(pictures, (height, width))[
            0
        ]
        for effect in (self._television, self._camera, self._overlays):
            if effect is not None:
                canvas = effect(canvas)
        return self._with_noise(self._with_ghost(canvas))

    def drops(self) -> bool:
        """Whether the next frame is dropped, so that the one before is shown again."""
        return bool(self._drops.random() < self.style.drop_share)

    def card(self, share: float) -> npt.NDArray[np.uint8]:
        """A frame of the cards before and after the game, which fade in and out.

        Args:
            share: How much of the card's time has passed, in [0, 1].
        """
        light = min(1.0, 5 * share, 5 * (1 - share))
        return self._with_noise((self._card * light).astype(np.uint8))

    def sound(
        self, samples: npt.NDArray[np.float32], rate: int = 30_720
    ) -> npt.NDArray[np.float32]:
        """The game's sound as the video has it: what follows what was asked for before.

        Args:
            samples: The game's samples, in [-1, 1], `float32`.
            rate: Samples per second.
        """
        style, start = self.style, self._heard
        self._heard += len(samples)
        changed = style.volume * samples
        if style.sound_noise:
            changed = changed + self._generator.normal(0, style.sound_noise, len(samples))
        if style.music:
            music = self.music(start, self._heard, rate)
            changed = changed + style.music / _CARD_MUSIC * music
        seconds = np.arange(start, self._heard) / rate
        if style.jingles:
            changed = changed + self._jingle(seconds)
        if style.silence:
            stretch = (seconds / _STRETCH_SECONDS).astype(np.int64)
            changed = np.where(self._silent[stretch % len(self._silent)], 0, changed)
        return np.asarray(np.clip(changed, -1, 1), np.float32)

    def music(self, start: int, stop: int, rate: int) -> npt.NDArray[np.float32]:
        """Samples of the cards' music: sixteen notes of a fifth of a second, again and again.

        Args:
            start: The first sample.
            stop: The one after the last.
            rate: Samples per second.
        """
        seconds = np.arange(start, stop) / rate
        note = (seconds * _NOTES_PER_SECOND).astype(np.int64)
        since = seconds - note / _NOTES_PER_SECOND
        tone = np.sin(2 * np.pi * self._notes[note % len(self._notes)] * since)
        return (_CARD_MUSIC * np.exp(-8 * since) * tone).astype(np.float32)

    def _lay_out(self) -> tuple[int, int, int, int]:
        """Top, left, height and width of the game's picture."""
        style = self.style
        height = max(2, round(style.picture_height * style.height))
        width = style.width
        if style.picture_aspect:
            width = max(2, min(style.width, round(style.picture_aspect * height)))
        top = round((style.height - height) * (1 + style.shift_y) / 2)
        left = round((style.width - width) * (1 + style.shift_x) / 2)
        return top, left, height, width

    def _jingle(self, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Four rising notes, evenly spread over the minutes."""
        pause = 60 / self.style.jingles
        since = (seconds + self._jingle_at) % pause
        note = (since * 2 * _NOTES_PER_SECOND).astype(np.int64)
        pitch = self._jingle_base * np.array([*_JINGLE, 0.0])[np.minimum(note, len(_JINGLE))]
        heard: npt.NDArray[np.float64] = 0.3 * np.sin(2 * np.pi * pitch * since)
        return heard

    def _draw_card(self, generator: np.random.Generator) -> npt.NDArray[np.float32]:
        height, width = self.style.height, self.style.width
        upper, lower = generator.uniform(0, 255, (2, 3))
        down = np.linspace(0, 1, height)[:, None, None]
        card = np.repeat((1 - down) * upper + down * lower, width, axis=1)
        for _ in range(12):  # blocks, as letters would be
            y, x = generator.integers(0, height), generator.integers(0, width)
            card[y : y + height // 10, x : x + width // 8] = generator.uniform(0, 255, 3)
        return card.astype(np.float32)

    def _with_ghost(self, canvas: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self._cv2 is None:
            return canvas
        share = self.style.ghosting
        if self._before is not None:
            canvas = self._cv2.addWeighted(canvas, 1 - share, self._before, share, 0)
        self._before = canvas
        return canvas

    def _with_noise(self, canvas: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if not self.style.noise:
            return canvas
        noise = self._generator.normal(0, self.style.noise, canvas.shape[:2]).astype(np.float32)
        return np.asarray(np.clip(canvas + noise[:, :, None], 0, 255), np.uint8)
