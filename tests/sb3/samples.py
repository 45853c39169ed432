"""Small trained models, files of which tests read."""

from __future__ import annotations

import functools

from stable_baselines3 import PPO

CARTPOLE = {"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {}}
PAINTED = {"maker": "gymnasium", "id": "HxPainted-v0", "kwargs": {}}


@functools.cache
def cartpole() -> PPO:
    """PPO after a few hundred steps."""
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, batch_size=32, device="cpu", seed=0)
    return model.learn(256)
