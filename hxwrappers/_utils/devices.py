"""Networks on a device: seeded weights, generators, precision, and the memory of a CPU run."""

from __future__ import annotations

import copy
import ctypes
import logging
import platform
import time
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from hxwrappers.errors import InvalidArgumentError

_STATE_BYTES = (5056, 16)  # of a generator's state on a CPU and on a GPU


def resolve_device(device: str | torch.device) -> torch.device:
    """A device by its name; `"auto"` is the GPU where there is one.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Let a generator go on from a state, on whatever kind of device that was saved.

    Those of CPUs and GPUs cannot go on from each other's; then the state is what it is seeded by.

    Args:
        generator: The generator.
        state: What `get_state` of one gave.

    Raises:
        RuntimeError: The state is no generator's.

    Example:
        >>> first, second = torch.Generator(), torch.Generator()
        >>> restore_generator(second, first.get_state())
        >>> torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))
        True
    """
    state = state.cpu()
    if len(state) in _STATE_BYTES and len(state) != len(generator.get_state()):
        generator.manual_seed(zlib.crc32(state.numpy().tobytes()))
    else:
        generator.set_state(state)


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Within it networks are made on the CPU, with weights that a seed decides.

    The global generators are left alone: `torch.manual_seed` would also seed those of the GPUs,
    from which agents draw their actions.

    Example:
        >>> with seeded_weights(7):
        ...     first = torch.nn.Linear(2, 2)
        >>> with seeded_weights(7):
        ...     second = torch.nn.Linear(2, 2)
        >>> torch.equal(first.weight, second.weight)
        True
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield


# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD = 64 * 2**20


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, which makes training on a CPU faster.

    PyTorch allocates the result of every operation on a CPU anew. Large blocks, and the top of
    the heap, go back to the system as soon as they are freed, and the system fills each page with
    zeros before it hands it out again: a fifth to a quarter of the processor time of PPO.
    With this call glibc reuses them. The process stays as large as it once was, and somewhat
    larger than it would have been.

    Call it once, at the beginning of a training script, as `hxw train` and the examples do. It
    holds for the whole process and its forks, so a library should leave it to scripts. What was
    measured: docs/benchmarks.md.

    Returns:
        Whether it was done. Only glibc (Linux) can; elsewhere nothing happens.

    Example:
        >>> keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
        True
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, _TOP_PAD))
    done = [mallopt(name, value) for name, value in settings]
    return all(done)


PRECISIONS = ("float32", "bfloat16", "auto")
_LOG = logging.getLogger("hxwrappers")
_ROUNDS = 3
_ROWS = 32  # of a batch that both are timed on
_GAIN = 1.1  # so much faster it must be, so that noise does not decide
_HOPELESS = 4.0  # times slower in the very first pass, after which no more are made
# bfloat16 keeps 8 bits, so results differ by some hundredths; wrong ones differ by as much as
# they are large. Some CPUs' convolutions in bfloat16 were wrong (pytorch issue 163347).
_TOLERANCE = 0.1
_known: dict[tuple[object, ...], bool] = {}


def check_precision(precision: str) -> str:
    """The precision, if there is such a one.

    Raises:
        InvalidArgumentError: There is not.
    """
    if precision not in PRECISIONS:
        raise InvalidArgumentError(
            f'precision is {precision!r}; it must be "float32", "bfloat16" or "auto".'
        )
    return precision


def is_bfloat16_faster(network: nn.Module, inputs: Tensor, *, training: bool) -> bool:
    """Whether a network is faster in bfloat16 on this CPU, and computes the same.

    Both are timed for some milliseconds on a part of the inputs. The answer for networks and
    inputs of the same shapes is remembered as long as the process lives.

    Args:
        network: The network; it is not changed.
        inputs: A batch as it comes, shape `(batch, ...)`.
        training: Whether gradients are computed, too.

    Example:
        >>> answer = is_bfloat16_faster(nn.Linear(3, 2), torch.ones(4, 3), training=False)
        >>> type(answer)
        <class 'bool'>
    """
    rows = inputs.detach()[:_ROWS]
    shapes = tuple(tuple(parameter.shape) for parameter in network.parameters())
    key = (shapes, tuple(rows.shape[1:]), len(rows), training, torch.get_num_threads())
    if key not in _known:
        with torch.inference_mode(False), torch.enable_grad():
            _known[key] = _measure(copy.deepcopy(network), rows.clone(), training)
    return _known[key]


class TimedPrecision(nn.Module):
    """Runs networks in the faster precision, and keeps the choice in its state.

    A run that is resumed on the same machine or on another one repeats the choice, since the two
    precisions do not compute the same to the last bit.

    Args:
        precision: "float32" or "bfloat16" for the products inside the networks, or "auto": the
            faster of both, timed when a network is first used, for training and for looking apart.
            On GPUs "auto" is "float32".

    Raises:
        InvalidArgumentError: There is no such precision.

    Example:
        >>> TimedPrecision("bfloat16").run(nn.Linear(3, 2), torch.ones(5, 3)).dtype
        torch.float32
    """

    choice: Tensor

    def __init__(self, precision: str) -> None:
        super().__init__()
        self.precision = check_precision(precision)
        # For looking and for training: 0 is not yet known, 1 float32, 2 bfloat16.
        with torch.inference_mode(False):  # a tensor made in it could not be loaded into
            choice = torch.zeros(2, dtype=torch.uint8)
        self.register_buffer("choice", choice)
        self._chosen: dict[bool, bool] = {}

    def run(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Output of a network, as float32."""
        with self.products(network, inputs):
            outputs: Tensor = network(inputs)
        return outputs.to(torch.float32)

    def products(self, network: nn.Module, inputs: Tensor) -> AbstractContextManager[object]:
        """A context in which products have the precision that suits the network and its inputs."""
        kind, half = inputs.device.type, self._is_half(network, inputs)
        if not half and not torch.is_autocast_enabled(kind):
            return nullcontext()  # entering the other one takes as long as a small network
        return torch.autocast(kind, torch.bfloat16, enabled=half)

    def _is_half(self, network: nn.Module, inputs: Tensor) -> bool:
        if self.precision != "auto":
            return self.precision == "bfloat16"
        if inputs.device.type != "cpu":
            return False
        training = torch.is_grad_enabled() and any(p.requires_grad for p in network.parameters())
        if training not in self._chosen:
            known = int(self.choice[int(training)])
            half = known == 2 if known else is_bfloat16_faster(network, inputs, training=training)
            with torch.inference_mode(False), torch.no_grad():
                self.choice[int(training)] = 2 if half else 1
            self._chosen[training] = half
        return self._chosen[training]

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._chosen.clear()


def _measure(network: nn.Module, rows: Tensor, training: bool) -> bool:
    seconds: dict[bool, float] = {}
    results: dict[bool, Tensor] = {}
    for half in (False, True):
        try:
            first, _ = _run(network, rows, training, half)
            if half and first > _HOPELESS * seconds[False]:
                _LOG.info("bfloat16 is many times slower than float32 here; taking float32.")
                return False
            runs = [_run(network, rows, training, half) for _ in range(_ROUNDS)]
        except RuntimeError:  # this CPU cannot at all
            return False
        seconds[half] = min(first, *(time for time, _ in runs))
        results[half] = runs[-1][1]
    difference = (results[True] - results[False]).norm() / results[False].norm().clamp(min=1e-12)
    agrees = bool(difference <= _TOLERANCE)  # not so where it is NaN
    faster = agrees and seconds[True] * _GAIN < seconds[False]
    _LOG.info(
        "%s of %s: float32 %.0f µs a sample, bfloat16 %.0f µs%s; taking %s.",
        "training" if training else "looking",
        tuple(rows.shape[1:]),
        *(1e6 * seconds[half] / len(rows) for half in (False, True)),
        "" if agrees else f" but wrong by {float(difference):.0%}",
        "bfloat16" if faster else "float32",
    )
    return faster


def _run(network: nn.Module, rows: Tensor, training: bool, half: bool) -> tuple[float, Tensor]:
    begun = time.perf_counter()
    network.zero_grad(set_to_none=True)
    with (
        torch.set_grad_enabled(training),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        outputs = network(rows).to(torch.float32)
    if not training:
        return time.perf_counter() - begun, outputs.flatten()
    outputs.square().mean().backward()
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return time.perf_counter() - begun, torch.cat(gradients)
