"""Rollout buffers that know which steps only replay a demonstration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

__all__ = ["DemoDictRolloutBuffer", "DemoRolloutBuffer", "DemoSequences", "Sequences", "Tail"]

_STATES = ("hidden_states_pi", "cell_states_pi", "hidden_states_vf", "cell_states_vf")
_Observations = Any


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
        picked = _map(self.observations, lambda array: array[:, envs])
        states = tuple(state[:, envs] for state in self.states)
        return Tail(picked, self.episode_starts[:, envs], states)


class Sequences(NamedTuple):
    """A minibatch: whole sequences, each of one episode, padded to the length of the longest.

    The fields are those of sb3-contrib's samples, flat over sequences and time, and
    `temperature`, by which the logits of each step were divided.
    """

    observations: _Observations
    actions: Tensor
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    lstm_states: RNNStates
    episode_starts: Tensor
    mask: Tensor
    temperature: Tensor


Refresh = Callable[[Tail], RNNStates]


class DemoSequences(RecurrentRolloutBuffer):
    """Flags for each step, sequences without episode starts inside, and a tail for the burn-in.

    Attributes:
        valid: Whether the agent's action was taken in each step, `(steps, envs)`; False where the
            demonstration was replayed.
        temperature: By what the logits of each step were divided, `(steps, envs)`.
        burn_in: How many steps of the rollout before are kept.
        tail: These steps; None before the second rollout.
        refresh: Computes recurrent states at a rollout's start, with the present weights, from a
            tail.
    """

    burn_in = 0
    tail: Tail | None = None
    refresh: Refresh | None = None

    def reset(self) -> None:
        """Empty the buffer, but for the tail."""
        if self.full and self.burn_in:
            self.tail = self._cut_tail()
        super().reset()  # type: ignore[no-untyped-call]
        self.valid = np.ones((self.buffer_size, self.n_envs), dtype=np.bool_)
        self.temperature = np.ones((self.buffer_size, self.n_envs), dtype=np.float32)

    def forget(self) -> None:
        """Empty the buffer and drop the tail, because the environments were reset in between."""
        self.full = False
        self.tail = None
        self.reset()

    def get(self, batch_size: int | None = None) -> Iterator[Sequences]:  # type: ignore[override]
        """Minibatches of whole environments in random order.

        Args:
            batch_size: Steps of a minibatch, of one environment at least; None takes all at once.
        """
        assert self.full
        count = self.n_envs if batch_size is None else max(1, batch_size // self.buffer_size)
        order = np.random.permutation(self.n_envs)  # noqa: NPY002 - as everywhere in SB3
        for start in range(0, self.n_envs, count):
            envs = np.sort(order[start : start + count])
            # The loss of a minibatch without any step of the agent's own would not be a number.
            if self.valid[:, envs].sum() > 1:
                yield self._sequences(envs)

    def _cut_tail(self) -> Tail:
        start = max(0, self.buffer_size - self.burn_in)
        return Tail(
            _map(self.observations, lambda array: array[start:].copy()),
            self.episode_starts[start:].copy(),
            tuple(getattr(self, name)[start].copy() for name in _STATES),
        )

    def _sequences(self, envs: npt.NDArray[np.int64]) -> Sequences:
        begins = self.episode_starts[:, envs] > 0.5
        begins[0] = True
        # Sequences in the order of their environments, and of time within each.
        which, first = np.nonzero(begins.T)
        last = np.append(first[1:], 0)
        last[np.append(which[1:] != which[:-1], True)] = self.buffer_size
        pieces = list(zip(envs[which].tolist(), first.tolist(), last.tolist(), strict=True))

        def padded(array: npt.NDArray[Any], filling: float = 0.0) -> Tensor:
            parts = [self.to_torch(array[start:stop, env]) for env, start, stop in pieces]
            block = pad_sequence(parts, batch_first=True, padding_value=filling)
            return block.flatten(0, 1)

        longest = int((last - first).max())
        mask = np.zeros((len(pieces), longest), dtype=np.bool_)
        for row, (env, start, stop) in zip(mask, pieces, strict=True):
            row[: stop - start] = self.valid[start:stop, env]
        return Sequences(
            observations=_map(self.observations, padded),
            actions=padded(self.actions),
            old_values=padded(self.values),
            old_log_prob=padded(self.log_probs),
            advantages=padded(self.advantages),
            returns=padded(self.returns),
            lstm_states=self._first_states(envs, pieces),
            # The states of sequences that begin with an episode are zero already: with no flag set
            # the policy takes each sequence in one call.
            episode_starts=torch.zeros(len(pieces) * longest, device=self.device),
            mask=self.to_torch(mask.ravel()),
            temperature=padded(self.temperature, filling=1.0),
        )

    def _first_states(
        self, envs: npt.NDArray[np.int64], pieces: list[tuple[int, int, int]]
    ) -> RNNStates:
        if self.tail is not None and self.refresh is not None:
            fresh = self.refresh(self.tail.of(envs))
            at_start = [*fresh.pi, *fresh.vf]
        else:
            at_start = [self.to_torch(getattr(self, name)[0][:, envs]) for name in _STATES]
        row = {int(env): index for index, env in enumerate(envs)}
        states = []
        for state in at_start:
            columns = [
                state[:, row[env]]
                if start == 0 and self.episode_starts[0, env] < 0.5
                else torch.zeros_like(state[:, 0])
                for env, start, _ in pieces
            ]
            states.append(torch.stack(columns, dim=1).contiguous())
        return RNNStates((states[0], states[1]), (states[2], states[3]))


class DemoRolloutBuffer(DemoSequences):
    """Rollout buffer of `DemoRecurrentPPO`."""


class DemoDictRolloutBuffer(DemoSequences, RecurrentDictRolloutBuffer):  # type: ignore[misc]
    """Rollout buffer of `DemoRecurrentPPO` for Dict observations."""


def _map(data: _Observations, change: Callable[[Any], Any]) -> _Observations:
    if isinstance(data, dict):
        return {name: change(array) for name, array in data.items()}
    return change(data)
