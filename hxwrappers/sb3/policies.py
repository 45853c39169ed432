"""Policies with an extrinsic and an intrinsic value head."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from hxwrappers.errors import InvalidSpaceError
from hxwrappers.novelty.networks import orthogonal_init

__all__ = [
    "CNDFeatures",
    "CNDPolicy",
    "DualValueCnnPolicy",
    "DualValueMultiInputPolicy",
    "DualValuePolicy",
    "RNDFeatures",
    "RNDPolicy",
]

PUBLISHED_ADAM = {"eps": 1e-8}  # Stable-Baselines3's own is 1e-5


class DualValuePolicy(ActorCriticPolicy):
    """An actor-critic policy whose values have two columns: extrinsic and intrinsic.

    `forward` and `evaluate_actions` return both; `predict_values` returns the extrinsic value
    alone, which is what Stable-Baselines3 bootstraps time-outs with.
    """

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.value_net = nn.Linear(self.mlp_extractor.latent_dim_vf, 2)
        if self.ortho_init:
            orthogonal_init(self.value_net, gain=1.0)
        self._reset_optimizer(lr_schedule)

    def _reset_optimizer(self, lr_schedule: Schedule) -> None:
        make = cast(Any, self.optimizer_class)
        self.optimizer = make(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Extrinsic values, shape `(batch, 1)`."""
        return super().predict_values(obs)[:, :1]

    def predict_intrinsic_values(self, obs: PyTorchObs) -> Tensor:
        """Intrinsic values, shape `(batch, 1)`."""
        return super().predict_values(obs)[:, 1:]


class DualValueCnnPolicy(DualValuePolicy, ActorCriticCnnPolicy):
    """`DualValuePolicy` on the convolutions of Mnih et al. 2015, for images."""


class DualValueMultiInputPolicy(DualValuePolicy, MultiInputActorCriticPolicy):
    """`DualValuePolicy` for Dict observations."""


class CNDFeatures(BaseFeaturesExtractor):
    """The trunk of CND's policy: four convolutions and a linear layer of 512.

    Convolutions of 32, 64, 64 and 128 channels, 3x3, the first three of stride 2, with ReLU, on
    images that Stable-Baselines3 has scaled to [0, 1]; orthogonal weights of gain sqrt(2).

    Args:
        observation_space: Images with channels first, for example 4x96x96.
        features_dim: Width of the linear layer.

    Raises:
        InvalidSpaceError: The observations are not images.

    Example:
        >>> import numpy as np
        >>> features = CNDFeatures(spaces.Box(0, 255, (4, 96, 96), np.uint8))
        >>> features(torch.zeros(2, 4, 96, 96)).shape
        torch.Size([2, 512])
    """

    def __init__(self, observation_space: spaces.Space[Any], features_dim: int = 512) -> None:
        super().__init__(observation_space, features_dim)
        shape = observation_space.shape
        if shape is None or len(shape) != 3:
            raise InvalidSpaceError(
                f"CNDPolicy needs images with channels first, not {observation_space}. Use "
                "MlpPolicy or MultiInputPolicy for other observations."
            )
        layers: list[nn.Module] = []
        channels, stride = shape[0], 2
        for width, stride in ((32, 2), (64, 2), (64, 2), (128, 1)):
            layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.ReLU()]
            channels = width
        trunk = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            size = trunk(torch.zeros(1, *shape)).shape[1]
        self.layers = nn.Sequential(trunk, nn.Linear(size, features_dim), nn.ReLU())
        orthogonal_init(self.layers)

    def forward(self, observations: Tensor) -> Tensor:
        """Features, shape `(batch, features_dim)`."""
        inputs = observations.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.layers(inputs))


class CNDPolicy(DualValuePolicy):
    """The policy of CND: shared `CNDFeatures`, an actor and a critic layer of 512, two heads.

    Gains as in its code: 0.01 for the actor and the value heads, 0.1 for the critic's layer.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        **kwargs: Any,
    ) -> None:
        defaults: dict[str, Any] = {
            "net_arch": {"pi": [512], "vf": [512]},
            "activation_fn": nn.ReLU,
            "features_extractor_class": CNDFeatures,
            "optimizer_kwargs": PUBLISHED_ADAM,
        }
        super().__init__(observation_space, action_space, lr_schedule, **{**defaults, **kwargs})

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        if self.ortho_init:
            orthogonal_init(self.features_extractor, math.sqrt(2.0))
            orthogonal_init(self.mlp_extractor.policy_net, 0.01)
            orthogonal_init(self.mlp_extractor.value_net, 0.1)
            orthogonal_init(self.action_net, 0.01)
            orthogonal_init(self.value_net, 0.01)
        # After the initialisation, which needs plain strides; convolutions are faster so.
        self.features_extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class RNDFeatures(BaseFeaturesExtractor):
    """The trunk of RND's policy: three convolutions and linear layers of 256 and 448.

    As in the code of Burda et al. 2018: convolutions of 32 (8x8, stride 4), 64 (4x4, stride 2) and
    64 channels (4x4, stride 1), ReLU after each layer, orthogonal weights of gain sqrt(2).

    Args:
        observation_space: Images with channels first, for example 4x84x84.

    Raises:
        InvalidSpaceError: The observations are not images, or have a side of less than 44 pixels.

    Example:
        >>> import numpy as np
        >>> features = RNDFeatures(spaces.Box(0, 255, (4, 84, 84), np.uint8))
        >>> features(torch.zeros(2, 4, 84, 84)).shape
        torch.Size([2, 448])
    """

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        super().__init__(observation_space, 448)
        shape = observation_space.shape
        if shape is None or len(shape) != 3 or min(shape[1:]) < 44:
            raise InvalidSpaceError(
                f"RNDPolicy needs images of 44 pixels a side or more with channels first, not "
                f"{observation_space}. Use CnnPolicy for smaller ones, and MlpPolicy or "
                "MultiInputPolicy for other observations."
            )
        layers: list[nn.Module] = []
        channels = shape[0]
        for width, kernel, stride in ((32, 8, 4), (64, 4, 2), (64, 4, 1)):
            layers += [nn.Conv2d(channels, width, kernel, stride), nn.ReLU()]
            channels = width
        trunk = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            size = trunk(torch.zeros(1, *shape)).shape[1]
        self.layers = nn.Sequential(
            trunk, nn.Linear(size, 256), nn.ReLU(), nn.Linear(256, 448), nn.ReLU()
        )
        orthogonal_init(self.layers)

    def forward(self, observations: Tensor) -> Tensor:
        """Features, shape `(batch, 448)`."""
        return cast(Tensor, self.layers(observations.contiguous(memory_format=torch.channels_last)))


class _ResidualLayers(nn.Module):
    """A layer for the actor and one for the critic, each added to what goes into it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.latent_dim_pi = self.latent_dim_vf = features
        self.policy_net = nn.Sequential(nn.Linear(features, features), nn.ReLU())
        self.value_net = nn.Sequential(nn.Linear(features, features), nn.ReLU())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What the actor's and what the critic's head see."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Tensor) -> Tensor:
        """What the actor's head sees."""
        return features + cast(Tensor, self.policy_net(features))

    def forward_critic(self, features: Tensor) -> Tensor:
        """What the critic's head sees."""
        return features + cast(Tensor, self.value_net(features))


class RNDPolicy(DualValuePolicy):
    """The policy of RND: shared `RNDFeatures`, a residual layer each for actor and critic.

    Gains as in its code: 0.1 for the residual layers, 0.01 for the heads.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        **kwargs: Any,
    ) -> None:
        defaults: dict[str, Any] = {
            "features_extractor_class": RNDFeatures,
            "optimizer_kwargs": PUBLISHED_ADAM,
        }
        super().__init__(observation_space, action_space, lr_schedule, **{**defaults, **kwargs})

    def _build_mlp_extractor(self) -> None:
        layers = _ResidualLayers(self.features_dim).to(self.device)
        self.mlp_extractor = cast(Any, layers)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        if self.ortho_init:
            orthogonal_init(self.features_extractor, math.sqrt(2.0))
            orthogonal_init(self.mlp_extractor, 0.1)
            orthogonal_init(self.action_net, 0.01)
            orthogonal_init(self.value_net, 0.01)
        self.features_extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
