"""Clips from wherever they are kept."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hxwrappers.video.clip import Clip
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.stacks import resize_frames

__all__ = ["load_clips", "resized"]

_CHUNK = 256


def load_clips(paths: Iterable[str | os.PathLike[str]], size: tuple[int, int]) -> list[DecodedClip]:
    """Load clips with frames of one size.

    Args:
        paths: Folders that `DecodedClip.save` wrote, or video files, which are decoded (and kept
            in the cache).
        size: Height and width of the frames; clips of that size stay on the disk, others are
            resized in memory.

    Raises:
        VideoError: A folder holds no clip, or a file no video.
    """
    return [_load(Path(path), size) for path in paths]


def _load(path: Path, size: tuple[int, int]) -> DecodedClip:
    if path.is_file():
        return Clip(path, size=size).decode()
    return resized(DecodedClip.load(path), size)


def resized(clip: DecodedClip, size: tuple[int, int]) -> DecodedClip:
    """A clip with its frames resized; the clip itself where they have the size already.

    Args:
        clip: The clip.
        size: Height and width.
    """
    if clip.frames.shape[1:3] == size:
        return clip
    frames = np.empty((len(clip), *size, 3), np.uint8)
    for start in range(0, len(clip), _CHUNK):
        part = np.asarray(clip.frames[start : start + _CHUNK])
        frames[start : start + _CHUNK] = resize_frames(part, size)
    return dataclasses.replace(clip, frames=frames)
