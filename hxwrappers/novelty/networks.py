"""Networks whose features are distilled, and their execution in chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hxwrappers._utils.devices import TimedPrecision
from hxwrappers.errors import InvalidArgumentError

Activation = Callable[[], nn.Module]


def _leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def _elu() -> nn.Module:
    return nn.ELU(inplace=True)


@dataclass(frozen=True)
class _Architecture:
    """Convolutions as (channels, kernel, stride, padding), and what follows them."""

    convolutions: tuple[tuple[int, int, int, int], ...]
    activation: Activation
    predictor_activation: Activation


# Burda et al. 2018 (arXiv 1810.12894) as released: leaky ReLU of slope 0.2 after the
# convolutions, ReLU in the predictor's extra layers.
_ARCHITECTURES = {
    "rnd": _Architecture(((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)), _leaky_relu, _relu),
    # CND: "A" as drawn in its diagram, "B" as in the configuration that its best run used.
    "A": _Architecture(((32, 8, 4, 2), (64, 3, 2, 1), (64, 3, 1, 1)), _elu, _elu),
    "B": _Architecture(((16, 3, 2, 1), (32, 3, 2, 1), (64, 3, 2, 1), (64, 3, 1, 1)), _elu, _elu),
    # For CPUs, on frames of 42x42: the layers of `CompactCNN`. ELU takes half as long again.
    "compact": _Architecture(((16, 5, 3, 0), (32, 4, 2, 0)), _leaky_relu, _relu),
}


class FeatureNet(nn.Module):
    """A trunk (convolutions for images, two hidden layers for vectors) and a head on top.

    Args:
        trunk: Maps frames to `(batch, channels, rows, columns)` or `(batch, hidden)`.
        head: Maps the flattened trunk to `(batch, features)`.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, frames: Tensor) -> Tensor:
        """Features of normalised frames, shape `(batch, features)`."""
        return self.features_and_local(frames)[0]

    def features_and_local(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Features and, for losses that look at places, the trunk's map below them."""
        local = self.trunk(frames)
        return self.head(local.flatten(1)), local


def build_target(net: str, frame_shape: tuple[int, ...], features: int, hidden: int) -> FeatureNet:
    """The network whose features the predictor must guess.

    Args:
        net: `"rnd"`, `"A"` or `"B"`; for vectors it only chooses the activations.
        frame_shape: `(channels, height, width)` or `(size,)`.
        features: Number of features.
        hidden: Width of the hidden layers for vectors.

    Raises:
        InvalidArgumentError: There is no such net.

    Example:
        >>> import torch
        >>> build_target("A", (1, 96, 96), 512, 256)(torch.zeros(2, 1, 96, 96)).shape
        torch.Size([2, 512])
    """
    trunk, size, _ = _trunk(net, frame_shape, hidden)
    return FeatureNet(trunk, nn.Linear(size, features))


def build_predictor(
    net: str, frame_shape: tuple[int, ...], features: int, hidden: int
) -> FeatureNet:
    """The network that guesses the target's features: the same trunk and two more layers.

    Arguments as in `build_target`; the extra layers are as wide as the features.
    """
    trunk, size, activation = _trunk(net, frame_shape, hidden)
    head = nn.Sequential(
        nn.Linear(size, features),
        activation(),
        nn.Linear(features, features),
        activation(),
        nn.Linear(features, features),
    )
    return FeatureNet(trunk, head)


def orthogonal_init(module: nn.Module, gain: float = math.sqrt(2.0)) -> None:
    """Orthogonal weights of the given gain and zero biases in every linear and conv layer."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.orthogonal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _trunk(
    net: str, frame_shape: tuple[int, ...], hidden: int
) -> tuple[nn.Module, int, Activation]:
    architecture = _ARCHITECTURES.get(net)
    if architecture is None:
        raise InvalidArgumentError(f"net is {net!r}; it must be one of {sorted(_ARCHITECTURES)}.")
    activation = architecture.activation
    if len(frame_shape) == 1:
        layers: list[nn.Module] = [
            nn.Linear(frame_shape[0], hidden),
            activation(),
            nn.Linear(hidden, hidden),
            activation(),
        ]
        return nn.Sequential(*layers), hidden, architecture.predictor_activation
    channels, height, width = frame_shape
    layers = []
    for out_channels, kernel, stride, padding in architecture.convolutions:
        layers += [nn.Conv2d(channels, out_channels, kernel, stride, padding), activation()]
        channels = out_channels
        height = (height + 2 * padding - kernel) // stride + 1
        width = (width + 2 * padding - kernel) // stride + 1
    trunk = nn.Sequential(*layers)
    return trunk, channels * height * width, architecture.predictor_activation


# Rows per forward pass: on a CPU more than so many images fall out of the cache.
CPU_CHUNK = 64
LARGE_CHUNK = 4096


@contextmanager
def learning() -> Iterator[None]:
    """Within it a model may learn, whatever mode its caller has put torch into.

    Agents are often run under `torch.no_grad()` or `torch.inference_mode()`, and step their
    environments there. A tensor made in the latter could never be trained with.

    Example:
        >>> with torch.inference_mode(), learning():
        ...     nn.Linear(2, 1)(torch.ones(1, 2)).sum().backward()
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield


class Execution(TimedPrecision):
    """Runs networks on a device.

    Args:
        device: The device.
        precision: `"float32"`, `"bfloat16"` for the products inside the networks, or `"auto"`.

    Example:
        >>> execution = Execution(torch.device("cpu"), "bfloat16")
        >>> execution.run(nn.Linear(3, 2), torch.ones(5, 3)).dtype
        torch.float32
    """

    def __init__(self, device: torch.device, precision: str) -> None:
        super().__init__(precision)
        self._device = device

    def chunks(self, rows: Tensor) -> list[Tensor]:
        """Parts of a batch, each for one pass; one of an empty batch."""
        images_on_cpu = self._device.type == "cpu" and rows.ndim > 2
        size = CPU_CHUNK if images_on_cpu else LARGE_CHUNK
        return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]

    def distil(
        self,
        predictor: nn.Module,
        target: nn.Module,
        frames: Tensor,
        weights: Tensor,
        normalize: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Add the gradient of the weighted squared errors to the predictor's, chunk by chunk.

        Args:
            predictor: Whose gradient it is.
            target: Whose outputs are to be guessed; it gets no gradient.
            frames: Frames, shape `(batch, ...)`.
            weights: Weight of each sample's errors, `(batch, features)`.
            normalize: Makes inputs of a chunk of frames, which the networks then find in the cache.

        Returns:
            The weighted sum of the squared errors.
        """
        total = torch.zeros((), device=self._device)
        chunks = self.chunks(frames)
        parts = torch.split(weights, [len(chunk) for chunk in chunks])
        for chunk, weight in zip(chunks, parts, strict=True):
            inputs = normalize(chunk)
            with torch.no_grad():
                wanted = self.run(target, inputs)
            loss = ((self.run(predictor, inputs) - wanted).square() * weight).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total
