"""Small clips and settings for the tests of embeddings."""

import numpy as np

from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.settings import PretrainingSettings, preset

SIZE = 20
RATE = 4_000
TINY = {
    "augment_zoom": 0.0,
    "augment_colour": 0.0,
    "frame_size": SIZE,
    "crop_size": 16,
    "channels": (4, 4),
    "blocks": 1,
    "hidden": 16,
    "dimension": 8,
    "bins": 17,
    "columns": 12,
    "sound_channels": (4, 4),
    "sound_kernel": 3,
    "hop_seconds": 0.01,
    "intervals": ((0, 0), (1, 2), (3, 20)),
    "negative_seconds": 0.5,
    "batch_size": 8,
    "steps": 4,
}


def tiny(**changes) -> PretrainingSettings:
    return preset("small", **{**TINY, **changes})


def moving_square(name="square", frames=60, seed=0, size=SIZE, rate=RATE) -> DecodedClip:
    """A bright square that wanders over a dark field, with a beep whenever it is on the left."""
    generator = np.random.default_rng(seed)
    pictures = generator.integers(0, 40, (frames, size, size, 3), np.uint8)
    samples = round(frames * rate / 15)
    sound = np.zeros(samples, np.float32)
    for frame in range(frames):
        left = round((size - 4) * (0.5 + 0.5 * np.sin(frame / 9 + seed)))
        pictures[frame, size // 2 : size // 2 + 4, left : left + 4] = 220
        if left < size // 4:
            start, stop = (round(edge * rate / 15) for edge in (frame, frame + 1))
            sound[start:stop] = 0.5 * np.sin(np.arange(stop - start))
    return DecodedClip(name, pictures, 15.0, sound, rate)
