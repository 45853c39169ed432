"""Signatures of states: where the actions left their mark, and the scene around."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.search.cells.frame_cells import shrink
from hxwrappers.search.views import SIDE, Frames, View

Vectors = list[npt.NDArray[np.float32]]

_MARKS, _SCENE = 14, 8
_LEVELS = 20
"""Levels of grey, of 255, by which a pixel must differ from the scene to be a mark."""
_SCENE_WEIGHT = 1.5
_SPREAD = 0.8
SCENE_DISTANCE = 0.6
"""Scenes farther apart are different ones: an enemy that moves makes 0.2, another room about 1."""
FEWEST_SIBLINGS = 3
"""Without so many pictures nothing tells the scene from what the actions moved."""


def signatures(views: Sequence[npt.NDArray[Any]]) -> Vectors:
    """What tells apart the states that several explorations reached from one state.

    For pictures: all began in one state and took equally many actions, and so whatever moves by
    itself (enemies, clocks) looks alike in all of them. The median picture is the scene without
    what the actions move, and what differs from it is the mark that the actions have left: mostly
    the player, where it is. The signature is the mark, blurred, with length 1 wherever there is
    one, and beside it the scene in few pixels. Nothing needs to be known of the game.

    Numbers are their own signature.

    Args:
        views: Pictures of 42 x 42 pixels, or rows of numbers.

    Returns:
        A vector for each; none for fewer than three pictures.
    """
    if len(views) and views[0].ndim == 1:
        return [np.asarray(view, np.float32) for view in views]
    if len(views) < FEWEST_SIBLINGS:
        return []
    pictures = np.stack(views)
    middle = (len(pictures) - 1) // 2
    scene = np.partition(pictures, middle, axis=0)[middle]
    marks = np.abs(pictures.astype(np.int16) - scene) > _LEVELS
    blur = _blurring()
    below = _SCENE_WEIGHT * shrink(scene, _SCENE, _SCENE).reshape(-1) / 255
    vectors = []
    for mark in marks:
        spread = (blur @ mark.astype(np.float32) @ blur.T).reshape(-1)
        length = float(np.sqrt(spread @ spread))
        vectors.append(np.concatenate([spread / length if length else spread, below]))
    return vectors


def scene_part(view: View) -> slice:
    """Where in a signature of a view the scene is; nowhere in numbers."""
    return slice(_MARKS**2, None) if isinstance(view, Frames) else slice(0, 0)


def vector_size(view: View) -> int:
    """How many numbers a signature of a view has."""
    if isinstance(view, Frames):
        return _MARKS**2 + _SCENE**2
    return int(view.space.shape[0])


@lru_cache(maxsize=1)
def _blurring() -> npt.NDArray[np.float32]:
    """The matrix that shrinks a side of the picture to that of the marks, and blurs it."""
    places = np.arange(_MARKS)
    weights = np.exp(-((places[:, None] - places) ** 2) / (2 * _SPREAD**2))
    blur = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    matrix: npt.NDArray[np.float32] = blur @ np.repeat(
        np.eye(_MARKS, dtype=np.float32), SIDE // _MARKS, axis=1
    )
    return matrix
