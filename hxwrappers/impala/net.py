"""The network: features of images and vectors, an optional LSTM, two heads, and its precision.

Sources: Mnih et al. 2015 (Nature) for "nature"; Espeholt et al. 2018 (arXiv 1802.01561), figure 3,
for "shallow" (left) and "residual" (right).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hxwrappers._utils.checks import require_choice
from hxwrappers._utils.devices import is_bfloat16_faster
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala.actions import Actions, BoxActions
from hxwrappers.impala.layout import PREVIOUS_REWARD, EnvSpec, Layout
from hxwrappers.impala.settings import ImpalaSettings

SMALLEST_FOR_NATURE = 36  # the smallest side that its three convolutions leave anything of
SMALLEST = {"nature": SMALLEST_FOR_NATURE, "shallow": 20}
CPU_CHUNK = 128  # frames per pass: on a CPU more of them fall out of the cache


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = inputs + self.layers(inputs)
        return outputs


def _residual(channels: int) -> nn.Module:
    layers: list[nn.Module] = []
    for wide in (16, 32, 32):
        layers += [
            nn.Conv2d(channels, wide, 3, 1, 1),
            nn.MaxPool2d(3, 2, 1),
            _ResidualBlock(wide),
            _ResidualBlock(wide),
        ]
        channels = wide
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


_LAYERS = {
    "nature": ((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)),
    "shallow": ((16, 8, 4, 0), (32, 4, 2, 0)),
    "small": ((16, 3, 1, 1), (32, 3, 1, 1)),
}
"""Channels, side, stride and padding of each convolution."""


def _convolutions(net: str, channels: int) -> nn.Module:
    if net == "residual":
        return _residual(channels)
    layers: list[nn.Module] = []
    for wide, side, stride, padding in _LAYERS[net]:
        layers += [nn.Conv2d(channels, wide, side, stride, padding), nn.ReLU(inplace=True)]
        channels = wide
    return nn.Sequential(*layers)


_FEATURES = {"nature": 512, "small": 128, "residual": 256, "shallow": 256, "mlp": 128}
NETS = ("auto", *_FEATURES)
"""Names of nets; "auto" is "nature" for images, "small" under 36 pixels, "mlp" without any."""


class Trunk(nn.Module):
    """Turns observations into features.

    An image goes through convolutions; vectors are joined to the flattened result, and one layer
    with a ReLU follows. Without an image two layers with a tanh look at the vectors.

    Args:
        layout: What an observation consists of.
        net: One of `NETS`.
        features: Width of the last layer; None for the net's own (512, 128, 256, 256, 128).
        precision: "float32", or "bfloat16" for the products of nets that look at images.

    Attributes:
        features: How many features come out.

    Raises:
        InvalidArgumentError: There is no such net.
        InvalidArgumentError: The net does not fit the observations.
    """

    def __init__(
        self, layout: Layout, net: str = "auto", features: int | None = None, precision: str = ""
    ) -> None:
        super().__init__()
        self.layout = layout
        image = layout.image
        require_choice("net", net, NETS)
        if net == "auto" and image is None:
            net = "mlp"
        elif net == "auto" and image is not None:
            net = "small" if min(image.frame_shape[1:]) < SMALLEST_FOR_NATURE else "nature"
        if (net == "mlp") != (image is None):
            raise InvalidArgumentError(
                f"The net {net!r} does not fit observations that consist of "
                f"{', '.join(f'{part.name} {part.shape}' for part in layout.parts)}: mlp is for "
                'vectors, the others are for images. Use net="auto".'
            )
        self.features = _FEATURES[net] if features is None else features
        self.in_bfloat16 = precision == "bfloat16" and image is not None
        size = sum(part.width for part in layout.vectors)
        if image is None:
            self.convolutions = None
            self.layers = nn.Sequential(
                nn.Linear(size, self.features),
                nn.Tanh(),
                nn.Linear(self.features, self.features),
                nn.Tanh(),
            )
            return
        if min(image.frame_shape[1:]) < SMALLEST.get(net, 0):
            raise InvalidArgumentError(
                f"The net {net!r} needs images of {SMALLEST[net]} pixels or more a side, "
                f'not {image.frame_shape[1:]}. Use net="small" or net="residual".'
            )
        self.convolutions = _convolutions(net, image.frame_shape[0])
        with torch.no_grad():
            size += self.convolutions(torch.zeros(1, *image.frame_shape)).numel()
        self.layers = nn.Sequential(nn.Linear(size, self.features), nn.ReLU(inplace=True))

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Features of a batch of observations.

        Args:
            observations: The parts by name, each of shape `(batch, *shape)` in its own dtype.

        Returns:
            Shape `(batch, features)`, float32.
        """
        image = self.layout.image
        if image is None:
            features: Tensor = self.layers(self._vectors(observations))
            return features
        images = observations[image.name]
        size = CPU_CHUNK if images.device.type == "cpu" else len(images)
        with torch.autocast(
            images.device.type, torch.bfloat16, enabled=self.in_bfloat16 and not self._is_half
        ):
            chunks = [
                self._look({name: part[at : at + size] for name, part in observations.items()})
                for at in range(0, len(images), size)
            ]
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks)

    @property
    def _is_half(self) -> bool:
        """Whether the weights themselves are halved, as an actor that never learns has them."""
        return next(self.parameters()).dtype == torch.bfloat16

    def _look(self, observations: Mapping[str, Tensor]) -> Tensor:
        image = self.layout.image
        assert image is not None
        assert self.convolutions is not None
        frames = image.frames(observations[image.name])
        # Bytes are moved faster than floats, and all of them are exact in bfloat16.
        frames = frames.contiguous(memory_format=torch.channels_last)
        scaled = frames.to(torch.bfloat16 if self.in_bfloat16 else torch.float32) * (1 / image.high)
        looked = self.convolutions(scaled).flatten(1)
        if self.layout.vectors:
            looked = torch.cat([looked, self._vectors(observations).to(looked.dtype)], dim=1)
        features: Tensor = self.layers(looked)
        return features.float()

    def _vectors(self, observations: Mapping[str, Tensor]) -> Tensor:
        return torch.cat(
            [part.flat(observations[part.name]) for part in self.layout.vectors], dim=1
        )


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
        net: See `hxwrappers.impala.net.Trunk`.
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
        separate = layout.image is None and not lstm
        self.value_trunk = Trunk(layout, net, features, precision) if separate else None
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
