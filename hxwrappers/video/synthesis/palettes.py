"""Palettes of the Atari 2600 on televisions of other standards than the game's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import InvalidArgumentError

PALETTES = ("game", "ntsc", "pal", "secam")
"""The game's own colours, and what else they are seen in."""
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


def palette_table(palette: str) -> _Colours:
    """What each colour of a game made for NTSC becomes.

    The colour is taken for the nearest of the 128 that an NTSC console makes, 16 hues of 8
    brightnesses, and that hue and brightness are looked up in the other palette. NTSC hues lie
    26.2 degrees apart, PAL ones 31.3, alternately to both sides of gold.

    Args:
        palette: One of `PALETTES` but `"game"`.

    Returns:
        `(32, 32, 32, 3)`, RGB, `uint8`, by the upper five bits of red, green and blue.

    Raises:
        InvalidArgumentError: There is no such palette.

    Example:
        >>> table = palette_table("secam")
        >>> table[31, 31, 31].tolist(), table[0, 0, 0].tolist()
        ([255, 255, 255], [0, 0, 0])
    """
    if palette == "ntsc":
        colours = _ntsc(_OTHER_NTSC_STEP)
    elif palette == "pal":
        colours = _pal()
    elif palette == "secam":
        colours = np.tile(np.array(_SECAM, np.uint8), (_HUES, 1))
    else:
        raise InvalidArgumentError(
            f"There is no palette {palette!r}; there are {', '.join(PALETTES[1:])}."
        )
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
