"""The settings of the published code, by the task that they were published for."""

from __future__ import annotations

from hxwrappers.novelty.settings import CNDSettings, NoveltySettings

PUBLISHED_RND: NoveltySettings = {"warmup_steps": 128 * 50}
"""RND on Atari (github.com/openai/random-network-distillation). Everything else is the default; the
warm-up is made by a random agent, before the one that is trained: call `warm_up` of the wrapper."""

PUBLISHED_CND: CNDSettings = {
    "net": "B",
    "distil_mask": "feature",
    "warmup_steps": 256,
    "scored": "current",
    "deviation_floor": 255 * 0.001**0.5,  # its frames go from 0 to 1, and variances from 0.001
}
"""CND on Montezuma's Revenge, the configuration 21 of its best run
(github.com/michalnand/reinforcement_learning), with the warm-up by a random agent as well."""

PUBLISHED_CND_PROCGEN: CNDSettings = {
    "net": "B",
    "train_fraction": 1.0,
    "normalize_observations": False,
    "warmup_steps": 0,
    "scored": "current",
}
"""CND on the hard levels of Procgen."""
