"""Policies with two value heads, which keep to action masks, and feature extractors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from hxwrappers._utils.devices import TimedPrecision
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.networks import orthogonal_init

PUBLISHED_ADAM = {"eps": 1e-8}  # Stable-Baselines3's own is 1e-5


_NEVER = 1e8
"""Logits of what is not legal, as in sb3-contrib's MaskablePPO: far enough for a chance of 0."""


@contextmanager
def held(policy: ActorCriticPolicy, **attributes: Any) -> Iterator[None]:
    """Give attributes of a policy other values for a while."""
    before = {name: getattr(policy, name) for name in attributes}
    for name, value in attributes.items():
        setattr(policy, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(policy, name, value)


class DualValuePolicy(ActorCriticPolicy):
    """An actor-critic policy whose values have two columns: extrinsic and intrinsic.

    `forward` and `evaluate_actions` return both; `predict_values` returns the extrinsic value
    alone, which is what Stable-Baselines3 bootstraps time-outs with. Actions that a mask forbids
    get no chance (Huang & Ontanon 2020).

    Attributes:
        acting_masks: Asked by `forward`, which acts in rollouts, for masks of the batch.
        learning_masks: Asked by `evaluate_actions`.
    """

    acting_masks: Callable[[], Tensor] | None = None
    learning_masks: Callable[[], Tensor] | None = None
    _masks: Tensor | None = None

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

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Act; see the base class."""
        masks = None if self.acting_masks is None else self.acting_masks()
        with held(self, _masks=masks):
            return super().forward(obs, deterministic)

    def evaluate_actions(
        self, obs: PyTorchObs, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, log probabilities and entropies; see the base class."""
        masks = None if self.learning_masks is None else self.learning_masks()
        with held(self, _masks=masks):
            return super().evaluate_actions(obs, actions)

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: npt.ArrayLike | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Choose actions, of those that `action_masks` allows; see the base class."""
        masks = None if action_masks is None else torch.as_tensor(action_masks, device=self.device)
        with held(self, _masks=masks):
            return super().predict(observation, state, episode_start, deterministic)

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        if self._masks is None:
            return super()._get_action_dist_from_latent(latent_pi)
        logits = self.action_net(latent_pi)
        legal = self._masks.to(logits.device).reshape(len(logits), -1).bool()
        if isinstance(self.action_space, spaces.MultiBinary):
            logits = logits.masked_fill(~legal[:, 0::2], _NEVER)  # 0 is not legal
            logits = logits.masked_fill(~legal[:, 1::2], -_NEVER)
        else:
            logits = logits.masked_fill(~legal, -_NEVER)
        return self.action_dist.proba_distribution(logits)


class DualValueCnnPolicy(DualValuePolicy, ActorCriticCnnPolicy):
    """`DualValuePolicy` on the convolutions of Mnih et al. 2015, for images."""


class DualValueMultiInputPolicy(DualValuePolicy, MultiInputActorCriticPolicy):
    """`DualValuePolicy` for Dict observations."""


def _trunk(
    shape: tuple[int, ...], *layers: tuple[int, int, int], padding: int = 0
) -> tuple[nn.Sequential, int]:
    """Convolutions of some width, kernel and stride with ReLU, and the number of their outputs."""
    modules: list[nn.Module] = []
    channels = shape[0]
    for width, kernel, stride in layers:
        modules += [nn.Conv2d(channels, width, kernel, stride, padding), nn.ReLU()]
        channels = width
    trunk = nn.Sequential(*modules, nn.Flatten())
    with torch.no_grad():
        return trunk, trunk(torch.zeros(1, *shape)).shape[1]


class CNDFeatures(BaseFeaturesExtractor):
    """The trunk of CND's policy: four convolutions and a linear layer of 512.

    Convolutions of 32, 64, 64 and 128 channels, 3x3, the first three of stride 2, with ReLU, on
    images that Stable-Baselines3 has scaled to [0, 1]; orthogonal weights of gain sqrt(2).

    Args:
        observation_space: Images with channels first, for example 4x96x96.
        features_dim: Width of the linear layer.

    Raises:
        InvalidArgumentError: The observations are not images.

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
            raise InvalidArgumentError(
                f"CNDPolicy needs images with channels first, not {observation_space}. Use "
                "MlpPolicy or MultiInputPolicy for other observations."
            )
        trunk, size = _trunk(shape, (32, 3, 2), (64, 3, 2), (64, 3, 2), (128, 3, 1), padding=1)
        self.layers = nn.Sequential(trunk, nn.Linear(size, features_dim), nn.ReLU())
        orthogonal_init(self.layers)

    def forward(self, observations: Tensor) -> Tensor:
        """Features, shape `(batch, features_dim)`."""
        inputs = observations.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.layers(inputs))


class _PublishedPolicy(DualValuePolicy):
    """A policy with the network and the initial weights that a paper's code has.

    Attributes:
        defaults: Arguments of the base class that differ here.
        gains: Gains of the orthogonal weights of its parts.
    """

    defaults: ClassVar[Mapping[str, Any]]
    gains: ClassVar[Mapping[str, float]]

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        **kwargs: Any,
    ) -> None:
        arguments = {"optimizer_kwargs": PUBLISHED_ADAM, **self.defaults, **kwargs}
        super().__init__(observation_space, action_space, lr_schedule, **arguments)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        if self.ortho_init:
            for part, gain in self.gains.items():
                orthogonal_init(self.get_submodule(part), gain)
        # After the initialisation, which needs plain strides; convolutions are faster so.
        self.features_extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class CNDPolicy(_PublishedPolicy):
    """The policy of CND: shared `CNDFeatures`, an actor and a critic layer of 512, two heads.

    Gains as in its code: 0.01 for the actor and the value heads, 0.1 for the critic's layer.
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        "net_arch": {"pi": [512], "vf": [512]},
        "activation_fn": nn.ReLU,
        "features_extractor_class": CNDFeatures,
    }
    gains: ClassVar[Mapping[str, float]] = {
        "features_extractor": math.sqrt(2.0),
        "mlp_extractor.policy_net": 0.01,
        "mlp_extractor.value_net": 0.1,
        "action_net": 0.01,
        "value_net": 0.01,
    }


class RNDFeatures(BaseFeaturesExtractor):
    """The trunk of RND's policy: three convolutions and linear layers of 256 and 448.

    As in the code of Burda et al. 2018: convolutions of 32 (8x8, stride 4), 64 (4x4, stride 2) and
    64 channels (4x4, stride 1), ReLU after each layer, orthogonal weights of gain sqrt(2).

    Args:
        observation_space: Images with channels first, for example 4x84x84.

    Raises:
        InvalidArgumentError: The observations are not images, or have a side of less than 44
            pixels.

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
            raise InvalidArgumentError(
                f"RNDPolicy needs images of 44 pixels a side or more with channels first, not "
                f"{observation_space}. Use CnnPolicy for smaller ones, and MlpPolicy or "
                "MultiInputPolicy for other observations."
            )
        trunk, size = _trunk(shape, (32, 8, 4), (64, 4, 2), (64, 4, 1))
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


class RNDPolicy(_PublishedPolicy):
    """The policy of RND: shared `RNDFeatures`, a residual layer each for actor and critic.

    Gains as in its code: 0.1 for the residual layers, 0.01 for the heads.
    """

    defaults: ClassVar[Mapping[str, Any]] = {"features_extractor_class": RNDFeatures}
    gains: ClassVar[Mapping[str, float]] = {
        "features_extractor": math.sqrt(2.0),
        "mlp_extractor": 0.1,
        "action_net": 0.01,
        "value_net": 0.01,
    }

    def _build_mlp_extractor(self) -> None:
        layers = _ResidualLayers(self.features_dim).to(self.device)
        self.mlp_extractor = cast(Any, layers)


_SMALLEST = 14  # pixels: convolutions of 5 by stride 3 and 4 by stride 2 leave one
_LARGE = 64  # pixels, from which on the filters are the published ones


class CompactCNN(BaseFeaturesExtractor):
    """A small convolutional network, for learning on CPUs.

    The network of Mnih et al. 2013, "Playing Atari with Deep Reinforcement Learning", arXiv
    1312.5602, section 4.1: 16 filters of 8x8 with stride 4, 32 of 4x4 with stride 2, and a linear
    layer of 256, with ReLU after each. It takes a third of the products of
    Stable-Baselines3's `NatureCNN`. Images with a side of less than 64 pixels, such as frames of
    42x42, get filters of 5x5 with stride 3 in the place of the first ones, and frames of 42x42 take
    a quarter of the products of those of 84x84.

    Args:
        observation_space: Images with channels first, for example 4x84x84, at least 14x14.
            Stable-Baselines3 scales them to [0, 1] before they come here.
        features_dim: Width of the linear layer.
        precision: "float32"; "bfloat16" for the products inside the network; or "auto", which
            times both on a CPU, for acting and for training apart, and takes the faster one that
            agrees. Weights, gradients and the features are float32 in any case.

    Raises:
        InvalidArgumentError: There is no such precision.
        InvalidArgumentError: The observations are not images, or are too small.

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
            raise InvalidArgumentError(
                f"CompactCNN needs images of at least {_SMALLEST}x{_SMALLEST} pixels with channels "
                f"first, not {observation_space}. Use an MlpPolicy, or a features extractor of "
                "your own."
            )
        self.timed = timed
        kernel, stride = (8, 4) if min(shape[1:]) >= _LARGE else (5, 3)
        trunk = nn.Sequential(
            nn.Conv2d(shape[0], 16, kernel, stride), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU()
        )
        with torch.no_grad():
            size = trunk(torch.zeros(1, *shape)).numel()
        self.layers = nn.Sequential(trunk, nn.Flatten(), nn.Linear(size, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Features, `(batch, features_dim)`, float32."""
        inputs = observations.contiguous(memory_format=torch.channels_last)
        return self.timed.run(self.layers, inputs)
