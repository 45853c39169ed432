"""Action selection by a network, for actors and for checkpoints that play."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hxwrappers._utils.devices import is_bfloat16_faster
from hxwrappers.impala.layout import Layout
from hxwrappers.impala.net import ImpalaNet, Outputs, Trunk
from hxwrappers.impala.unrolls import copy_weights


def hardware_precision(
    precision: str,
    device: torch.device,
    trunk: Trunk | None = None,
    *,
    rows: int = 64,
    training: bool = True,
) -> str:
    """Decide what the precision "auto" means: on a CPU, the faster of both, which is timed.

    The timing takes some passes of the net over `rows` images, with as many threads as torch has
    now: backward passes in bfloat16 can be many times slower with two threads than with one.

    Args:
        precision: "auto", or a precision, which is returned.
        device: Where the net computes.
        trunk: What looks at images in it; None for "nature" with four frames of 84 pixels a side.
        rows: How many images it looks at in one pass.
        training: Whether it also learns.

    Example:
        >>> hardware_precision("float32", torch.device("cpu"))
        'float32'
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type != "cpu":
        return "float32"
    trunk = trunk or Trunk(Layout.of(spaces.Box(0, 255, (4, 84, 84), np.uint8)))
    image = trunk.layout.image
    if image is None:
        return "float32"
    dots = torch.randint(2, (rows, *image.shape), generator=torch.Generator().manual_seed(0))
    images = (dots * image.high).to(getattr(torch, image.dtype))
    faster = is_bfloat16_faster(_BothPrecisions(trunk, training), images, training=training)
    return "bfloat16" if faster else "float32"


class _BothPrecisions(nn.Module):
    """A trunk as it is in float32, and in bfloat16 where autocast asks for that."""

    def __init__(self, trunk: Trunk, training: bool) -> None:
        super().__init__()
        self.exact, self.halved = copy.deepcopy(trunk), copy.deepcopy(trunk)
        self.exact.in_bfloat16, self.halved.in_bfloat16 = False, True
        if not training:
            self.halved.bfloat16()  # as actors have it

    def forward(self, images: Tensor) -> Tensor:
        trunk = self.halved if torch.is_autocast_enabled("cpu") else self.exact
        assert trunk.layout.image is not None
        parts = {part.name: torch.zeros(len(images), *part.shape) for part in trunk.layout.vectors}
        with torch.autocast("cpu", enabled=False):
            features: Tensor = trunk(parts | {trunk.layout.image.name: images})
        return features


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
