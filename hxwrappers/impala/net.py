"""The whole net: features, an optional LSTM, and the two heads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hxwrappers.impala.actions import Actions, BoxActions
from hxwrappers.impala.layout import PREVIOUS_REWARD, Layout
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.spec import EnvSpec
from hxwrappers.impala.trunks import Trunk

__all__ = ["ImpalaNet", "Outputs"]


class Outputs(NamedTuple):
    """What the net says about an unroll.

    Attributes:
        logits: Unnormalised log probabilities of numbered actions, `(T, N, actions)`; of others the
            means, and then the logarithms of the deviations, `(T, N, 2 * size)`; float32.
        values: Values of the observations, `(T, N)`, float32.
        state: Recurrent state after the last observation, `(2, N, lstm)`.
    """

    logits: Tensor
    values: Tensor
    state: Tensor


class ImpalaNet(nn.Module):
    """A policy and a value function over common features; over separate ones for vectors alone.

    Args:
        layout: What it looks at. The previous action and reward, where they are part of it, join
            the features, as in the paper; rewards limited to -1 and 1.
        actions: What the actions are. The deviations of those that are drawn from a normal
            distribution are parameters of their own, 1 at first.
        net: See `hxwrappers.impala.trunks.Trunk`.
        features: See there.
        lstm: Units of an LSTM between the features and the heads; 0 for none.
        precision: "float32" or "bfloat16", for the convolutions and the layer after them.

    Example:
        >>> import numpy as np
        >>> from gymnasium import spaces
        >>> from hxwrappers.impala.actions import NumberedActions
        >>> net = ImpalaNet(Layout.of(spaces.Box(-1, 1, (3,))), NumberedActions(2), lstm=8)
        >>> starts, state = torch.zeros(5, 4, dtype=torch.bool), net.initial_state(4)
        >>> net({"observation": torch.zeros(5, 4, 3)}, starts, state).logits.shape
        torch.Size([5, 4, 2])
    """

    def __init__(
        self,
        layout: Layout,
        actions: Actions,
        *,
        net: str = "auto",
        features: int | None = None,
        lstm: int = 0,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.trunk = Trunk(layout, net, features, precision)
        self.actions = actions
        self._previous = layout.previous
        width = self.trunk.features + sum(part.width for part in layout.previous)
        self.lstm = nn.LSTM(width, lstm) if lstm else None
        self.state_size = lstm
        # Where features are cheap the values have their own: their large errors would otherwise
        # drown the policy's gradient in the common layers.
        alone = layout.image is None and not lstm
        self.value_trunk = Trunk(layout, net, features, precision) if alone else None
        self.policy = nn.Linear(lstm or width, actions.means)
        self.value = nn.Linear(lstm or width, 1)
        continuous = isinstance(actions, BoxActions)
        self.log_deviations = nn.Parameter(torch.zeros(actions.means)) if continuous else None

    @classmethod
    def of(cls, spec: EnvSpec, settings: ImpalaSettings, precision: str) -> ImpalaNet:
        """Build the net that the settings ask for."""
        return cls(
            spec.inputs(settings.previous_inputs),
            spec.actions,
            net=settings.net,
            features=settings.features,
            lstm=settings.lstm,
            precision=precision,
        )

    def initial_state(self, num_envs: int) -> Tensor:
        """The recurrent state at the start of an episode, zeros of shape `(2, num_envs, lstm)`."""
        return torch.zeros(2, num_envs, self.state_size, device=self.value.weight.device)

    def forward(self, observations: Mapping[str, Tensor], starts: Tensor, state: Tensor) -> Outputs:
        """Look at unrolls.

        Args:
            observations: Parts by name, each of shape `(T, N, *shape)`.
            starts: Which observations begin an episode, bool, `(T, N)`; the state is cleared
                before them.
            state: Recurrent state before the first observation, `(2, N, lstm)`.
        """
        steps, num_envs = starts.shape
        rows = {name: part.flatten(0, 1) for name, part in observations.items()}
        previous = self._before(rows, starts)
        features = self._join(self.trunk(rows), previous).view(steps, num_envs, -1)
        if self.lstm is not None:
            features, state = self._remember(features, starts, state)
        logits, seen = self.policy(features), features
        if self.value_trunk is not None:
            seen = self._join(self.value_trunk(rows), previous).view(steps, num_envs, -1)
        if self.log_deviations is not None:
            logits = torch.cat([logits, self.log_deviations.expand_as(logits)], dim=-1)
        return Outputs(logits, self.value(seen).squeeze(-1), state)

    def _before(self, rows: Mapping[str, Tensor], starts: Tensor) -> Tensor | None:
        """What came before the observations of all rows; zeros where they begin an episode."""
        if not self._previous:
            return None
        parts = {part.name: part.flat(rows[part.name]) for part in self._previous}
        parts[PREVIOUS_REWARD] = parts[PREVIOUS_REWARD].clamp(-1, 1)
        return torch.cat(list(parts.values()), dim=1).masked_fill(starts.flatten()[:, None], 0)

    @staticmethod
    def _join(features: Tensor, previous: Tensor | None) -> Tensor:
        return features if previous is None else torch.cat([features, previous], dim=1)

    def _remember(self, features: Tensor, starts: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run the LSTM, in one call for each stretch in which no episode begins."""
        assert self.lstm is not None
        begins = [row for row, any_ in enumerate(starts.any(dim=1).tolist()) if any_ and row]
        outputs = []
        for first, last in pairwise([0, *begins, len(starts)]):
            state = state.masked_fill(starts[first].unsqueeze(-1), 0)
            output, (hidden, cell) = self.lstm(
                features[first:last], (state[:1].contiguous(), state[1:].contiguous())
            )
            state = torch.cat([hidden, cell])
            outputs.append(output)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs), state
