"""Recurrent policies whose logits can be divided by a temperature, step by step."""

from __future__ import annotations

import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import (
    RecurrentActorCriticCnnPolicy,
    RecurrentActorCriticPolicy,
    RecurrentMultiInputActorCriticPolicy,
)
from stable_baselines3.common.distributions import Distribution
from torch import Tensor

__all__ = ["TemperedCnnLstmPolicy", "TemperedLstmPolicy", "TemperedMultiInputLstmPolicy"]


class TemperedLstmPolicy(RecurrentActorCriticPolicy):
    """A recurrent policy that explores more, or less, where it is told to.

    Attributes:
        temperature: Divides the logits: a number, or one for each row of the batch. 2 raises the
            entropy, 0.5 lowers it. Discrete actions only.
    """

    temperature: Tensor | float = 1.0

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        if not isinstance(self.action_space, spaces.Discrete | spaces.MultiDiscrete):
            return super()._get_action_dist_from_latent(latent_pi)
        logits = self.action_net(latent_pi)
        temperature = torch.as_tensor(self.temperature, dtype=logits.dtype, device=logits.device)
        return self.action_dist.proba_distribution(logits / temperature.reshape(-1, 1))


class TemperedCnnLstmPolicy(TemperedLstmPolicy, RecurrentActorCriticCnnPolicy):
    """`TemperedLstmPolicy` on the convolutions of Mnih et al. 2015, for images."""


class TemperedMultiInputLstmPolicy(TemperedLstmPolicy, RecurrentMultiInputActorCriticPolicy):
    """`TemperedLstmPolicy` for Dict observations."""
