"""Unrolls, batches of them, and weights, in memory that processes share."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from hxwrappers.files.generators import own_generator
from hxwrappers.impala.actions import Actions
from hxwrappers.impala.layout import EnvSpec, Layout
from hxwrappers.impala.settings import ImpalaSettings


class Field(NamedTuple):
    """Name, shape and dtype of one array."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Unroll:
    """T steps of N environments, and the observations after the last one.

    Attributes:
        observations: The parts by name, each `(T + 1, N, *shape)`.
        starts: Which observations begin an episode, bool, `(T + 1, N)`.
        state: Recurrent state before the first observation, `(2, N, lstm)`, float32.
        actions: Numbered ones from 0, int64, `(T, N)`; others as they were drawn, float32,
            `(T, N, size)`.
        log_mus: Log probability of each action under the policy that took it, float32, `(T, N)`.
        rewards: float32, `(T, N)`.
        terminated: bool, `(T, N)`.
        truncated: bool, `(T, N)`.
        valid: Which rows are steps of the environment, bool, `(T, N)`.
        final_values: Value of the final observation of truncated episodes where it is not the next
            row's, as the acting policy sees it; float32, `(T, N)`.
    """

    observations: dict[str, npt.NDArray[Any]]
    starts: npt.NDArray[np.bool_]
    state: npt.NDArray[np.float32]
    actions: npt.NDArray[np.int64]
    log_mus: npt.NDArray[np.float32]
    rewards: npt.NDArray[np.float32]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    valid: npt.NDArray[np.bool_]
    final_values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, arrays: dict[str, npt.NDArray[Any]]) -> Unroll:
        """Make an unroll of arrays named as in `UnrollShape.fields`."""
        parts = {name[len(OBSERVATION) :]: arrays[name] for name in arrays if OBSERVATION in name}
        return cls(parts, **{name: arrays[name] for name in arrays if OBSERVATION not in name})

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by the names of `UnrollShape.fields`."""
        rest = {name: array for name, array in vars(self).items() if name != "observations"}
        return {OBSERVATION + name: array for name, array in self.observations.items()} | rest


OBSERVATION = "observations/"


@dataclass(frozen=True)
class UnrollShape:
    """How large unrolls are.

    Attributes:
        layout: What an observation consists of.
        length: T, the number of steps.
        num_envs: N, the number of environments.
        lstm: Units of the LSTM.
        actions: What the actions are.
    """

    layout: Layout
    length: int
    num_envs: int
    lstm: int
    actions: Actions

    @classmethod
    def of(
        cls, spec: EnvSpec, settings: ImpalaSettings, num_envs: int | None = None
    ) -> UnrollShape:
        """The shape of an actor's unrolls, or of so many environments'."""
        return cls(
            spec.inputs(settings.previous_inputs),
            settings.unroll_length,
            spec.num_envs if num_envs is None else num_envs,
            settings.lstm,
            spec.actions,
        )

    def fields(self) -> list[Field]:
        """The arrays of one unroll."""
        rows, next_rows = (self.length, self.num_envs), (self.length + 1, self.num_envs)
        return [
            *(
                Field(OBSERVATION + part.name, (*next_rows, *part.shape), part.dtype)
                for part in self.layout.parts
            ),
            Field("starts", next_rows, "bool"),
            Field("state", (2, self.num_envs, self.lstm), "float32"),
            Field("actions", (*rows, *self.actions.shape), self.actions.dtype),
            Field("log_mus", rows, "float32"),
            Field("rewards", rows, "float32"),
            Field("terminated", rows, "bool"),
            Field("truncated", rows, "bool"),
            Field("valid", rows, "bool"),
            Field("final_values", rows, "float32"),
        ]

    def allocate(self) -> Unroll:
        """Make an unroll in this process's own memory."""
        return Unroll.of({name: np.zeros(shape, dtype) for name, shape, dtype in self.fields()})


class SharedArrays:
    """Arrays in memory that this process shares with those that it starts.

    The memory has no name in the file system: it is gone when the last process that holds it ends,
    however that ends. It can be handed only to a process that is being started.

    Args:
        fields: The arrays; they begin as zeros.
        context: The `multiprocessing` context that starts the processes.
        copies: How many there shall be of each.
    """

    def __init__(self, fields: Iterable[Field], context: Any, copies: int = 1) -> None:
        self._parts: dict[str, tuple[tuple[int, ...], str, Any]] = {}
        for name, shape, dtype in fields:
            size = copies * math.prod(shape) * np.dtype(dtype).itemsize
            self._parts[name] = ((copies, *shape), dtype, context.RawArray("B", size))

    def arrays(self, copy: int = 0) -> dict[str, npt.NDArray[Any]]:
        """The arrays of one copy by name; writing into them writes for all processes."""
        return {
            name: np.ndarray(shape, dtype, memory)[copy]
            for name, (shape, dtype, memory) in self._parts.items()
        }


@dataclass(frozen=True)
class Batch:
    """Unrolls side by side: as `Unroll`, with B unrolls in place of N environments."""

    observations: dict[str, Tensor]
    starts: Tensor
    state: Tensor
    actions: Tensor
    log_mus: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor
    final_values: Tensor


class Replay:
    """The newest batches, to learn from again.

    Args:
        size: How many.
        seed: Seed of what is drawn.

    Example:
        >>> replay = Replay(2, seed=0)
        >>> replay.add(Batch({}, *[torch.zeros(1)] * 9))
        >>> replay.draw().rewards
        tensor([0.])
    """

    def __init__(self, size: int, seed: int) -> None:
        self._batches: deque[Batch] = deque(maxlen=size)
        self._generator = own_generator(seed, "Replay")

    def add(self, batch: Batch) -> None:
        """Keep a copy of a batch, in the place of the oldest where there are enough."""
        self._batches.append(copy.deepcopy(batch))

    def draw(self) -> Batch:
        """One of the batches kept, all equally likely; there must be one."""
        return self._batches[int(self._generator.integers(len(self._batches)))]


class BatchBuffer:
    """Memory for one batch, filled with one actor's unrolls after the other.

    Args:
        shape: The shape of a batch: that of an unroll of as many environments as a batch has
            unrolls.
        device: Where batches are needed; memory for a GPU is pinned.
    """

    def __init__(self, shape: UnrollShape, device: torch.device) -> None:
        self._device = device
        self._size = shape.num_envs
        self._filled = 0
        arrays = shape.allocate().arrays()
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if device.type == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        self._tensors = tensors
        self._arrays = {name: tensor.numpy() for name, tensor in tensors.items()}

    @property
    def is_full(self) -> bool:
        """Whether the batch is complete."""
        return self._filled == self._size

    def add(self, unroll: Unroll) -> None:
        """Copy an unroll of N environments into the next N columns."""
        count = unroll.actions.shape[1]
        columns = slice(self._filled, self._filled + count)
        for name, array in unroll.arrays().items():
            self._arrays[name][:, columns] = array
        self._filled += count

    def take(self) -> Batch:
        """Get the batch; it is overwritten when unrolls are added again."""
        self._filled = 0
        there = {
            name: tensor.to(self._device, non_blocking=True)
            for name, tensor in self._tensors.items()
        }
        observations = {
            name[len(OBSERVATION) :]: there.pop(name) for name in list(there) if OBSERVATION in name
        }
        return Batch(observations, **there)


BEING_WRITTEN = -1
ATTEMPTS = 1000


def flat_weights(net: nn.Module) -> Tensor:
    """All parameters of a net in one float32 vector on the CPU."""
    return parameters_to_vector(net.parameters()).detach().to("cpu", torch.float32)


@torch.no_grad()
def copy_weights(vector: Tensor, net: nn.Module) -> None:
    """Copy a vector from `flat_weights` into a net, whose parameters may have other dtypes.

    Example:
        >>> one, other = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> copy_weights(flat_weights(one), other)
        >>> bool((one.weight == other.weight).all())
        True
    """
    parameters = list(net.parameters())
    parts = torch.split(vector, [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.copy_(part.view_as(parameter))


class SharedWeights:
    """Two copies of the weights, of which one is complete at any time.

    The learner writes into the older copy and then points at it. A reader that is overtaken while
    it copies notices by the version and begins again; nobody waits for anybody.

    Args:
        size: Number of parameters.
        context: The `multiprocessing` context that starts the actors.
    """

    def __init__(self, size: int, context: Any) -> None:
        fields = [Field("weights", (2, size), "float32"), Field("versions", (3,), "int64")]
        self._shared = SharedArrays(fields, context)

    def publish(self, weights: Tensor, version: int) -> None:
        """Show new weights to the actors.

        Args:
            weights: From `flat_weights`.
            version: Greater than any before, 0 or more.
        """
        arrays = self._shared.arrays()
        versions = arrays["versions"]
        older = 1 - int(versions[2])
        versions[older] = BEING_WRITTEN
        np.copyto(arrays["weights"][older], weights.numpy())
        versions[older] = version
        versions[2] = older

    def read(self, into: Tensor) -> int:
        """Copy the newest weights into a vector and return their version.

        Raises:
            TimeoutError: The learner overtook this process again and again.
        """
        arrays = self._shared.arrays()
        versions, target = arrays["versions"], into.numpy()
        for _ in range(ATTEMPTS):
            newest = int(versions[2])
            version = int(versions[newest])
            np.copyto(target, arrays["weights"][newest])
            if version != BEING_WRITTEN and version == versions[newest]:
                return version
        raise TimeoutError(f"The weights changed under all of {ATTEMPTS} attempts to copy them.")
