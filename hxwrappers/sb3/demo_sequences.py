"""Recurrent policies with a temperature, and rollout buffers that mark replayed steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer
from sb3_contrib.common.recurrent.policies import (
    RecurrentActorCriticCnnPolicy,
    RecurrentActorCriticPolicy,
    RecurrentMultiInputActorCriticPolicy,
)
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.distributions import Distribution
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hxwrappers.sb3.layers import map_parts
from hxwrappers.sb3.policies import held

_STATES = ("hidden_states_pi", "cell_states_pi", "hidden_states_vf", "cell_states_vf")
_Observations = Any


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
        with held(self, _divisor=self.acting_temperature):
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
        with held(self, _divisor=divisor):
            states = cast(RNNStates, lstm_states)
            return super().evaluate_actions(obs, actions, states, episode_starts)

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


class Tail(NamedTuple):
    """The last steps of the rollout before, from which recurrent states are brought up to date.

    Attributes:
        observations: `(steps, envs, ...)`, or a dict of these.
        episode_starts: Whether an episode began with each step, `(steps, envs)`.
        states: The four recurrent states before the first of them, `(layers, envs, hidden)` each.
    """

    observations: _Observations
    episode_starts: npt.NDArray[np.float32]
    states: tuple[npt.NDArray[np.float32], ...]

    def of(self, envs: npt.NDArray[np.int64]) -> Tail:
        """The tail of some of the environments."""
        picked = map_parts(self.observations, lambda array: array[:, envs])
        states = tuple(state[:, envs] for state in self.states)
        return Tail(picked, self.episode_starts[:, envs], states)


class Sequences(NamedTuple):
    """A minibatch: whole sequences, each of one episode, padded to the length of the longest.

    The fields are those of sb3-contrib's samples, flat over sequences and time. Where `mask` is
    False a step is padding, or replays a demonstration.
    """

    observations: _Observations
    actions: Tensor
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    lstm_states: TemperedStates
    episode_starts: Tensor
    mask: Tensor


class _Piece(NamedTuple):
    """The steps of one episode in one environment: `start` to `stop`, without `stop`."""

    env: int
    start: int
    stop: int


Refresh = Callable[[Tail], RNNStates]


class DemoSequences(RolloutBuffer):
    """Flags for each step, sequences without episode starts inside, and a tail for the burn-in.

    To be mixed into one of sb3-contrib's recurrent buffers.

    Attributes:
        valid: Whether the agent's action was taken in each step, `(steps, envs)`; False where the
            demonstration was replayed.
        temperature: By what the logits of each step were divided, `(steps, envs)`.
        burn_in: How many steps of the rollout before are kept, if it has so many.
        tail: These steps; None if the rollout goes on from none.
        refresh: Computes recurrent states at a rollout's start, with the present weights, from a
            tail.
    """

    hidden_state_shape: tuple[int, int, int, int]
    burn_in = 0
    tail: Tail | None = None
    refresh: Refresh | None = None

    def reset(self) -> None:
        """Make room for the next rollout; the end of a full one becomes the tail."""
        self.tail = self._cut_tail() if self.full and self.burn_in else None
        super().reset()
        self.valid = np.ones((self.buffer_size, self.n_envs), dtype=np.bool_)
        self.temperature = np.ones((self.buffer_size, self.n_envs), dtype=np.float32)

    def forget(self) -> None:
        """Drop what was collected: the next rollout does not go on from it."""
        self.full = False
        self.reset()

    def get(self, batch_size: int | None = None) -> Iterator[Sequences]:  # type: ignore[override]
        """Minibatches of whole environments in random order.

        Each step of the agent's own is in exactly one of them. Each has two such steps or more,
        since one has no standard deviation; if there are fewer in the whole rollout, there is no
        minibatch.

        Args:
            batch_size: Steps of a minibatch, of one environment at least; None takes all at once.
        """
        assert self.full
        count = self.n_envs if batch_size is None else max(1, batch_size // self.buffer_size)
        own_steps = self.valid.sum(axis=0)
        groups: list[list[int]] = [[]]
        for env in np.random.permutation(np.flatnonzero(own_steps)):  # noqa: NPY002 - as SB3 does
            if len(groups[-1]) >= count and own_steps[groups[-1]].sum() > 1:
                groups.append([])
            groups[-1].append(int(env))
        if own_steps[groups[-1]].sum() < 2:
            alone = groups.pop()
            if groups:
                groups[-1] += alone
        for group in groups:
            yield self._sequences(np.array(sorted(group)))

    def _cut_tail(self) -> Tail:
        start = max(0, self.buffer_size - self.burn_in)
        return Tail(
            map_parts(self.observations, lambda array: array[start:].copy()),
            self.episode_starts[start:].copy(),
            tuple(getattr(self, name)[start].copy() for name in _STATES),
        )

    def _sequences(self, envs: npt.NDArray[np.int64]) -> Sequences:
        pieces = self._pieces(envs)

        def padded(array: npt.NDArray[Any], filling: float = 0.0) -> Tensor:
            parts = [self.to_torch(array[start:stop, env]) for env, start, stop in pieces]
            block = pad_sequence(parts, batch_first=True, padding_value=filling)
            return block.flatten(0, 1)

        mask = padded(self.valid)
        temperature = padded(self.temperature, filling=1.0)
        return Sequences(
            observations=map_parts(self.observations, padded),
            # As in SB3's own buffers; the likelihood of MultiBinary actions needs it.
            actions=padded(self.actions.astype(np.float32, copy=False)),
            old_values=padded(self.values),
            old_log_prob=padded(self.log_probs),
            advantages=padded(self.advantages),
            returns=padded(self.returns),
            lstm_states=self._first_states(envs, pieces, temperature),
            # The states of sequences that begin with an episode are zero already: with no flag set
            # the policy takes each sequence in one call.
            episode_starts=torch.zeros_like(mask, dtype=torch.float32),
            mask=mask,
        )

    def _pieces(self, envs: npt.NDArray[np.int64]) -> list[_Piece]:
        """The parts of episodes in which the agent took a step, by environment and time."""
        pieces = []
        for env in envs.tolist():
            later = np.flatnonzero(self.episode_starts[1:, env] > 0.5) + 1
            bounds = [0, *later.tolist(), self.buffer_size]
            pieces += [_Piece(env, *pair) for pair in pairwise(bounds)]
        return [piece for piece in pieces if self.valid[piece.start : piece.stop, piece.env].any()]

    def _first_states(
        self, envs: npt.NDArray[np.int64], pieces: list[_Piece], temperature: Tensor
    ) -> TemperedStates:
        if self.tail is not None and self.refresh is not None:
            fresh = self.refresh(self.tail.of(envs))
            at_start = [*fresh.pi, *fresh.vf]
        else:
            at_start = [self.to_torch(getattr(self, name)[0][:, envs]) for name in _STATES]
        row = {env: index for index, env in enumerate(envs.tolist())}
        states = []
        for state in at_start:
            columns = [
                state[:, row[env]]
                if start == 0 and self.episode_starts[0, env] < 0.5
                else torch.zeros_like(state[:, 0])
                for env, start, _ in pieces
            ]
            states.append(torch.stack(columns, dim=1))
        return TemperedStates((states[0], states[1]), (states[2], states[3]), temperature)


class DemoRolloutBuffer(DemoSequences, RecurrentRolloutBuffer):  # type: ignore[misc]
    """Rollout buffer of `DemoRecurrentPPO`."""


class DemoDictRolloutBuffer(DemoSequences, RecurrentDictRolloutBuffer):  # type: ignore[misc]
    """Rollout buffer of `DemoRecurrentPPO` for Dict observations."""
