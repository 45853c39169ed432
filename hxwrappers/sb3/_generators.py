"""The global generators that Stable-Baselines3 draws from, as values that are safe to save."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["generator_states", "restore_generators"]


def generator_states() -> dict[str, Any]:
    """State of the global generators of torch (CPU and CUDA), NumPy and Python."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    version, words, normal = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [torch.tensor(np.asarray(keys, np.int64)), position, has_gauss, gauss],
        "python": [version, list(words), normal],
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Set the global generators to what `generator_states` gave."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state(  # noqa: NPY002
        ("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss)
    )
    version, words, normal = states["python"]
    random.setstate((version, tuple(words), normal))
