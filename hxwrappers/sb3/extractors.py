"""Features extractors: networks that turn observations into what policies decide upon."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from hxwrappers._precision import TimedPrecision
from hxwrappers.errors import InvalidSpaceError

__all__ = ["CompactCNN"]

_SMALLEST = 20  # pixels: two convolutions of 8 by stride 4 and 4 by stride 2 leave one


class CompactCNN(BaseFeaturesExtractor):
    """A small convolutional network, for learning on CPUs.

    The network of Mnih et al. 2013, "Playing Atari with Deep Reinforcement Learning", arXiv
    1312.5602, section 4.1: 16 filters of 8x8 with stride 4, 32 of 4x4 with stride 2, and a linear
    layer of 256, with ReLU after each. It takes a third of the products of
    Stable-Baselines3's `NatureCNN`.

    Args:
        observation_space: Images with channels first, for example 4x84x84, at least 20x20.
            Stable-Baselines3 scales them to [0, 1] before they come here.
        features_dim: Width of the linear layer.
        precision: "float32"; "bfloat16" for the products inside the network; or "auto", which
            times both on a CPU, for acting and for training apart, and takes the faster one that
            agrees. Weights, gradients and the features are float32 in any case.

    Raises:
        InvalidArgumentError: There is no such precision.
        InvalidSpaceError: The observations are not images, or are too small.

    Example:
        >>> import numpy as np
        >>> features = CompactCNN(spaces.Box(0, 255, (4, 84, 84), np.uint8))
        >>> features(torch.zeros(2, 4, 84, 84)).shape
        torch.Size([2, 256])
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        features_dim: int = 256,
        precision: str = "auto",
    ) -> None:
        super().__init__(observation_space, features_dim)
        timed = TimedPrecision(precision)
        shape = observation_space.shape
        if shape is None or len(shape) != 3 or min(shape[1:]) < _SMALLEST:
            raise InvalidSpaceError(
                f"CompactCNN needs images of at least {_SMALLEST}x{_SMALLEST} pixels with channels "
                f"first, not {observation_space}. Use an MlpPolicy, or a features extractor of "
                "your own."
            )
        self.timed = timed
        trunk = nn.Sequential(
            nn.Conv2d(shape[0], 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU()
        )
        with torch.no_grad():
            size = trunk(torch.zeros(1, *shape)).numel()
        self.layers = nn.Sequential(trunk, nn.Flatten(), nn.Linear(size, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Features, `(batch, features_dim)`, float32."""
        return self.timed.run(self.layers, observations)
