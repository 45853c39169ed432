"""Putting a game's pictures and sounds into a style."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hxwrappers.video.stacks import resize_frames
from hxwrappers.video.style import Style

__all__ = ["Styler"]

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_NOTES_PER_SECOND = 5


class Styler:
    """Puts a game's pictures and sounds into a style.

    Args:
        style: The style.
        generator: Draws the noise and the cards.

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
        self._colours = (np.linalg.inv(_TO_YIQ) @ change @ _TO_YIQ).T.astype(np.float32)
        self._added = 255 * (style.brightness + 0.5 * (1 - style.contrast))
        self._gamma = np.round(255 * (np.arange(256) / 255) ** style.gamma).astype(np.uint8)
        self._place = self._lay_out()
        self._notes = 220 * 2 ** (generator.integers(0, 24, 16) / 12)
        self._card = self._draw_card()

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
        coloured = seen.reshape(-1, 3).astype(np.float32) @ self._colours + self._added
        rounded = np.clip(np.round(coloured), 0, 255).astype(np.uint8)
        pictures = self._gamma[rounded].reshape(1, *seen.shape)
        top, left, height, width = self._place
        if style.blur > 1:
            small = max(1, round(height / style.blur)), max(1, round(width / style.blur))
            pictures = resize_frames(pictures, small)
        canvas = np.full((style.height, style.width, 3), style.border, np.uint8)
        canvas[top : top + height, left : left + width] = resize_frames(pictures, (height, width))[
            0
        ]
        return self._with_noise(canvas)

    def card(self, share: float) -> npt.NDArray[np.uint8]:
        """A frame of the cards before and after the game, which fade in and out.

        Args:
            share: How much of the card's time has passed, in [0, 1].
        """
        light = min(1.0, 5 * share, 5 * (1 - share))
        return self._with_noise((self._card * light).astype(np.uint8))

    def sound(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The game's sound as the video has it."""
        changed = self.style.volume * samples
        if self.style.sound_noise:
            changed = changed + self._generator.normal(0, self.style.sound_noise, len(samples))
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
        return (0.2 * np.exp(-8 * since) * tone).astype(np.float32)

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

    def _draw_card(self) -> npt.NDArray[np.float32]:
        height, width = self.style.height, self.style.width
        upper, lower = self._generator.uniform(0, 255, (2, 3))
        down = np.linspace(0, 1, height)[:, None, None]
        card = np.repeat((1 - down) * upper + down * lower, width, axis=1)
        for _ in range(12):  # blocks, as letters would be
            y, x = self._generator.integers(0, height), self._generator.integers(0, width)
            card[y : y + height // 10, x : x + width // 8] = self._generator.uniform(0, 255, 3)
        return card.astype(np.float32)

    def _with_noise(self, canvas: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if not self.style.noise:
            return canvas
        noise = self._generator.normal(0, self.style.noise, canvas.shape[:2]).astype(np.float32)
        return np.asarray(np.clip(canvas + noise[:, :, None], 0, 255), np.uint8)
