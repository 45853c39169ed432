"""Small models and observations for the tests of the novelty models."""

import numpy as np
from gymnasium import spaces

from hxwrappers.novelty import CNDModel, RNDModel

VECTOR = spaces.Box(-10, 10, (4,))
IMAGE = spaces.Box(0, 255, (4, 48, 48), np.uint8)
SMALL = {"features": 16, "hidden": 16, "update_every": 4, "batch_size": 8, "seed": 0}
CND_LOSSES = ("mse", "nce", "vicreg", "st_dim")


def observations(space: spaces.Box, number: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if space.dtype == np.uint8:
        return generator.integers(0, 256, (number, *space.shape)).astype(np.uint8)
    return generator.normal(size=(number, *space.shape)).astype(np.float32)


def drive(model, steps: int, seed: int = 0, streams: int = 3) -> np.ndarray:
    """Let a model observe some steps of several streams, and return its bonuses."""
    space = model.layout.space
    bonuses = []
    for step in range(steps):
        batch = observations(space, streams, seed * 1000 + step)
        before = observations(space, streams, seed * 1000 + step + 500)
        bonuses.append(model.observe(batch, np.arange(streams), before))
    return np.array(bonuses)


def make(kind: str, space: spaces.Box = VECTOR, **settings):
    if kind == "rnd":
        return RNDModel(space, **{**SMALL, "warmup_steps": 2, **settings})
    return CNDModel(
        space, **{**SMALL, "warmup_steps": 2, "pairs": 4, "contrastive_loss": kind, **settings}
    )
