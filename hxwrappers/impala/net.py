"""The whole net: features, an optional LSTM, and the two heads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hxwrappers.impala.layout import Layout
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.trunks import Trunk

__all__ = ["ImpalaNet", "Outputs"]


class Outputs(NamedTuple):
    """What the net says about an unroll.

    Attributes:
        logits: Unnormalised log probabilities of the actions, `(T, N, actions)`, float32.
        values: Values of the observations, `(T, N)`, float32.
        state: Recurrent state after the last observation, `(2, N, lstm)`.
    """

    logits: Tensor
    values: Tensor
    state: Tensor


class ImpalaNet(nn.Module):
    """A policy and a value function over common features; over separate ones for vectors alone.

    Args:
        layout: What an observation consists of.
        num_actions: How many discrete actions there are.
        net: See `hxwrappers.impala.trunks.Trunk`.
        features: See there.
        lstm: Units of an LSTM between the features and the heads; 0 for none.
        precision: "float32" or "bfloat16", for the convolutions and the layer after them.

    Example:
        >>> import numpy as np
        >>> from gymnasium import spaces
        >>> net = ImpalaNet(Layout.of(spaces.Box(-1, 1, (3,))), num_actions=2, lstm=8)
        >>> starts, state = torch.zeros(5, 4, dtype=torch.bool), net.initial_state(4)
        >>> net({"observation": torch.zeros(5, 4, 3)}, starts, state).logits.shape
        torch.Size([5, 4, 2])
    """

    def __init__(
        self,
        layout: Layout,
        num_actions: int,
        *,
        net: str = "auto",
        features: int | None = None,
        lstm: int = 0,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.trunk = Trunk(layout, net, features, precision)
        self.lstm = nn.LSTM(self.trunk.features, lstm) if lstm else None
        self.state_size = lstm
        # Where features are cheap the values have their own: their large errors would otherwise
        # drown the policy's gradient in the common layers.
        alone = layout.image is None and not lstm
        self.value_trunk = Trunk(layout, net, features, precision) if alone else None
        self.policy = nn.Linear(lstm or self.trunk.features, num_actions)
        self.value = nn.Linear(lstm or self.trunk.features, 1)

    @classmethod
    def of(
        cls, layout: Layout, num_actions: int, settings: ImpalaSettings, precision: str
    ) -> ImpalaNet:
        """Build the net that the settings ask for."""
        return cls(
            layout,
            num_actions,
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
        features: Tensor = self.trunk(rows)
        features = features.view(steps, num_envs, -1)
        if self.lstm is not None:
            features, state = self._remember(features, starts, state)
        logits, seen = self.policy(features), features
        if self.value_trunk is not None:
            seen = self.value_trunk(rows).view(steps, num_envs, -1)
        return Outputs(logits, self.value(seen).squeeze(-1), state)

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
