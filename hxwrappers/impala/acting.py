"""How a net chooses actions: for actors, and for whoever plays a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers._devices import cpu_multiplies_bfloat16
from hxwrappers.impala.net import ImpalaNet, Outputs
from hxwrappers.impala.weights import copy_weights

__all__ = ["NetPolicy", "hardware_precision"]


def hardware_precision(precision: str, device: torch.device) -> str:
    """Decide what the precision "auto" means: bfloat16 where the hardware multiplies it.

    Example:
        >>> hardware_precision("float32", torch.device("cpu"))
        'float32'
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    fast = device.type == "cpu" and cpu_multiplies_bfloat16()
    return "bfloat16" if fast else "float32"


class NetPolicy:
    """Chooses actions by a net, drawn from its own generator.

    Args:
        net: The net; it is put into evaluation mode.
        read_weights: Writes the newest weights into a vector and returns their version; None where
            the weights stay as they are.
        seed: Seed of the choices; None draws them from torch's own generator.
        deterministic: Take the most probable actions instead of drawing.

    Attributes:
        deterministic: Whether the most probable actions are taken.
        temperature: Divides the logits.
        needs_previous: Whether it looks at the previous action and reward, too.

    Example:
        >>> from gymnasium import spaces
        >>> from hxwrappers.impala.layout import Layout
        >>> from hxwrappers.impala.actions import NumberedActions
        >>> net = ImpalaNet(Layout.of(spaces.Box(-1, 1, (3,))), NumberedActions(2))
        >>> policy = NetPolicy(net)
        >>> parts, starts = {"observation": np.zeros((4, 3))}, np.ones(4, dtype=bool)
        >>> policy.act(parts, starts, policy.initial_state(4))[0].shape
        (4,)
    """

    def __init__(
        self,
        net: ImpalaNet,
        read_weights: Callable[[Tensor], int] | None = None,
        seed: int | None = 0,
        deterministic: bool = False,
    ) -> None:
        self._net = net.eval()
        if net.trunk.in_bfloat16:
            net.trunk.bfloat16()  # once an unroll, instead of in each step by autocast
        self._read_weights = read_weights
        self._vector = torch.zeros(sum(parameter.numel() for parameter in net.parameters()))
        self.deterministic = deterministic
        self.temperature = 1.0
        self.needs_previous = bool(net.trunk.layout.previous)
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def refresh(self) -> int:
        """Take the newest weights and return their version."""
        if self._read_weights is None:
            return 0
        version = self._read_weights(self._vector)
        copy_weights(self._vector, self._net)
        return version

    def initial_state(self, num_envs: int) -> npt.NDArray[np.float32]:
        """The recurrent state at the start of an episode, `(2, num_envs, lstm)`."""
        return np.zeros((2, num_envs, self._net.state_size), dtype=np.float32)

    def act(
        self,
        parts: Mapping[str, npt.NDArray[Any]],
        starts: npt.NDArray[np.bool_],
        state: npt.NDArray[np.float32],
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Choose actions.

        Args:
            parts: Arrays of the observations by name, each of shape `(N, *shape)`.
            starts: Which observations begin an episode, `(N,)`.
            state: Recurrent state, `(2, N, lstm)`.

        Returns:
            Actions as unrolls hold them, their log probabilities, `(N,)`, and the next state.
        """
        outputs = self._look(parts, starts, state)
        chosen, log_mus = self._net.actions.choose(
            outputs.logits[0], self._generator, self.deterministic, self.temperature
        )
        # A net without memory returns the state it was given, which as an array would hold on to
        # that array: a chain that grows by a link in each step.
        after = outputs.state.numpy() if self._net.state_size else state
        return chosen.numpy(), log_mus.numpy(), after

    def values(
        self, parts: Mapping[str, npt.NDArray[Any]], state: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """The values of observations that begin no episode, shape `(N,)`."""
        starts = np.zeros(state.shape[1], dtype=np.bool_)
        values: npt.NDArray[np.float32] = self._look(parts, starts, state).values[0].numpy()
        return values

    @torch.inference_mode()
    def _look(
        self,
        parts: Mapping[str, npt.NDArray[Any]],
        starts: npt.NDArray[np.bool_],
        state: npt.NDArray[np.float32],
    ) -> Outputs:
        observations = {
            name: torch.from_numpy(np.ascontiguousarray(part)).unsqueeze(0)
            for name, part in parts.items()
        }
        outputs: Outputs = self._net(
            observations, torch.from_numpy(starts).unsqueeze(0), torch.from_numpy(state)
        )
        return outputs
