"""Recurrent policies whose logits can be divided by a temperature, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import (
    RecurrentActorCriticCnnPolicy,
    RecurrentActorCriticPolicy,
    RecurrentMultiInputActorCriticPolicy,
)
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.distributions import Distribution
from torch import Tensor

__all__ = [
    "TemperedCnnLstmPolicy",
    "TemperedLstmPolicy",
    "TemperedMultiInputLstmPolicy",
    "TemperedStates",
    "has_logits",
]


class TemperedStates(NamedTuple):
    """Recurrent states before a batch of sequences, and the temperature of each of their steps.

    Attributes:
        pi: Hidden and cell state of the actor, `(layers, sequences, hidden)` each.
        vf: Those of the critic.
        temperature: By what the logits of each step are divided, `(sequences * steps,)`.
    """

    pi: tuple[Tensor, Tensor]
    vf: tuple[Tensor, Tensor]
    temperature: Tensor


class TemperedLstmPolicy(RecurrentActorCriticPolicy):
    """A recurrent policy that explores more, or less, where it is told to.

    Logits are divided by a temperature: 2 raises the entropy, 0.5 lowers it. Actions without
    logits, those in a `Box`, have none.

    Attributes:
        temperature: That of `predict`, for evaluation; training does not look at it.
        acting_temperature: That of `forward`, which acts in rollouts: a number, or one for each
            environment. `evaluate_actions` takes the temperatures in `TemperedStates`, and 1
            where it is given other states.
    """

    temperature: float = 1.0
    acting_temperature: Tensor | float = 1.0
    _divisor: Tensor | float | None = None

    def forward(  # type: ignore[override]  # two arguments more, as in its base class
        self,
        obs: Tensor,
        lstm_states: RNNStates,
        episode_starts: Tensor,
        deterministic: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, RNNStates]:
        """Act; see the base class."""
        with self._dividing_by(self.acting_temperature):
            return super().forward(obs, lstm_states, episode_starts, deterministic)

    def evaluate_actions(  # type: ignore[override]
        self,
        obs: Tensor,
        actions: Tensor,
        lstm_states: RNNStates | TemperedStates,
        episode_starts: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Values, log probabilities and entropies; see the base class."""
        divisor = lstm_states.temperature if isinstance(lstm_states, TemperedStates) else 1.0
        with self._dividing_by(divisor):
            states = cast(RNNStates, lstm_states)
            return super().evaluate_actions(obs, actions, states, episode_starts)

    @contextmanager
    def _dividing_by(self, divisor: Tensor | float) -> Iterator[None]:
        self._divisor = divisor
        try:
            yield
        finally:
            self._divisor = None

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        if not has_logits(self.action_space):
            return super()._get_action_dist_from_latent(latent_pi)
        logits = self.action_net(latent_pi)
        divisor = self.temperature if self._divisor is None else self._divisor
        divisor = torch.as_tensor(divisor, dtype=logits.dtype, device=logits.device)
        return self.action_dist.proba_distribution(logits / divisor.reshape(-1, 1))


class TemperedCnnLstmPolicy(TemperedLstmPolicy, RecurrentActorCriticCnnPolicy):
    """`TemperedLstmPolicy` on the convolutions of Mnih et al. 2015, for images."""


class TemperedMultiInputLstmPolicy(TemperedLstmPolicy, RecurrentMultiInputActorCriticPolicy):
    """`TemperedLstmPolicy` for Dict observations."""


def has_logits(space: spaces.Space[object]) -> bool:
    """Whether policies over this action space have logits, which a temperature can divide."""
    return isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
