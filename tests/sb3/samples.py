"""Small trained models, files of which tests read."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path

from stable_baselines3 import PPO

CARTPOLE = {"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {}}
PAINTED = {"maker": "gymnasium", "id": "HxPainted-v0", "kwargs": {}}


@functools.cache
def cartpole() -> PPO:
    """PPO after a few hundred steps."""
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, batch_size=32, device="cpu", seed=0)
    return model.learn(256)


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def trap(path: Path) -> bytes:
    """A pickle that touches a file."""
    return pickle.dumps(Trap(path))
