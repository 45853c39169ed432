"""Exploration by random network distillation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gymnasium import spaces
from torch import Tensor
from typing_extensions import Unpack

from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.novelty.settings import NoveltySettings


class RNDModel(NoveltyModel):
    """The error of predicting a fixed random network: large where the agent has seldom been.

    Burda et al. 2018, arXiv 1810.12894, section 2, with the settings of its released code: one
    frame standardised by running moments and clipped to +-5, a predictor two layers deeper than
    the target, errors divided by the standard deviation of their discounted sum.

    Args:
        observation_space: Any space that `ObservationLayout` can read.
        **settings: See `NoveltySettings`. Defaults: net "rnd", 512 features of images and 128
            of vectors, hidden 128, learning_rate 1e-4, update_every None, epochs 4 of 4
            minibatches, train_fraction None, warmup_steps 50, observation_clip 5,
            normalize_reward True with reward_discount 0.99, no bonus_clip.

    Raises:
        InvalidArgumentError: The space has parts that cannot be scored.
        InvalidArgumentError: A setting is unknown or out of range.

    Example:
        >>> import numpy as np
        >>> space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
        >>> model = RNDModel(space, seed=0)
        >>> observations = np.stack([space.sample() for _ in range(8)])
        >>> model.score(observations).shape
        (8,)
        >>> sorted(model.update(observations))
        ['distillation_loss']
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        "net": "rnd",
        "features": None,
        "hidden": 128,
        "learning_rate": 1e-4,
        "update_every": None,
        "epochs": 4,
        "minibatches": 4,
        "batch_size": None,
        "train_fraction": None,
        "warmup_steps": 50,
        "normalize_observations": True,
        "observation_clip": 5.0,
        "deviation_floor": 0.0,
        "normalize_reward": True,
        "reward_discount": 0.99,
        "bonus_clip": None,
        "channel_axis": None,
        "newest_channels": None,
        "halvings": 0,
        "precision": "float32",
        "device": "auto",
        "seed": None,
    }

    def __init__(
        self, observation_space: spaces.Space[Any], **settings: Unpack[NoveltySettings]
    ) -> None:
        super().__init__(observation_space, settings)

    def _train_minibatch(self, frames: Tensor, _previous: Tensor | None, /) -> dict[str, Tensor]:
        return {"distillation_loss": self._distil(frames)}
