"""Actors: the policy and the loop that run in each, and the interface that the learner sees."""

from __future__ import annotations

import copy
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import CloudpickleWrapper
from torch import Tensor, nn
from tqdm import tqdm

from hxwrappers import errors
from hxwrappers._utils.devices import is_bfloat16_faster
from hxwrappers._utils.processes import ADVICE, cause_of_death
from hxwrappers.errors import HxWrappersError, InvalidArgumentError, WorkerError
from hxwrappers.files.generators import ENV_SEEDS, derived_seed
from hxwrappers.impala.layout import EnvSpec, Layout
from hxwrappers.impala.net import ImpalaNet, Outputs, Trunk
from hxwrappers.impala.reports import Report
from hxwrappers.impala.sampler import Sampler, run_actor
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import SharedArrays, SharedWeights, Unroll, copy_weights


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


MakeVectorEnv = Callable[[], VectorEnv]
"""Makes the environments of one actor."""


class Ready(NamedTuple):
    """The actor has made its environments."""


class Delivery(NamedTuple):
    """The actor has filled a slot."""

    slot: int
    report: Report


class Failure(NamedTuple):
    """The actor ends because of an error."""

    kind: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure by an error that is being handled."""
        return cls(type(error).__name__, str(error), traceback.format_exc())


@dataclass(frozen=True)
class ActorJob:
    """All that an actor's process needs.

    Attributes:
        make_env: Makes its environments.
        spec: What they must be like.
        settings: How IMPALA learns.
        precision: "float32" or "bfloat16".
        slots: Memory for unrolls, those of all actors.
        weights: The learner's weights.
        seed: Seed of this actor.
    """

    make_env: CloudpickleWrapper[Any]
    spec: EnvSpec
    settings: ImpalaSettings
    precision: str
    slots: SharedArrays
    weights: SharedWeights
    seed: int


class _LearnerStoppedError(Exception):
    """There is nobody at the other end of the pipe any more."""


@contextmanager
def _connection() -> Iterator[None]:
    # Told apart from such errors of an environment, which may have processes of its own.
    try:
        yield
    except (EOFError, OSError) as error:
        raise _LearnerStoppedError from error


class _PipeSink:
    """Fills the slots whose numbers come through a pipe, and sends the numbers back."""

    def __init__(self, pipe: Connection, slots: SharedArrays) -> None:
        self._pipe, self._slots = pipe, slots
        self._slot = -1

    def acquire(self) -> Unroll | None:
        """Wait for the number of a slot; the learner's end, however it comes, ends the wait."""
        with _connection():
            slot = self._pipe.recv()
        if slot is None:
            return None
        self._slot = slot
        return Unroll.of(self._slots.arrays(slot))

    def deliver(self, unroll: Unroll, report: Report) -> None:  # noqa: ARG002 - it is in the slot
        """Send the slot's number back."""
        with _connection():
            self._pipe.send(Delivery(self._slot, report))


def act(pipe: Connection, job: ActorJob) -> None:
    """Play until the learner says that it is enough, or is gone."""
    torch.set_num_threads(1)
    try:
        env: VectorEnv = job.make_env()
        try:
            policy = acting_policy(
                env, job.spec, job.settings, job.precision, job.weights.read, job.seed
            )
            with _connection():
                pipe.send(Ready())
            run_actor(Sampler(env, policy, job.seed), _PipeSink(pipe, job.slots))
        finally:
            env.close()
    except _LearnerStoppedError:
        return
    except Exception as error:  # whatever it is, it must reach the user
        with suppress(OSError):
            pipe.send(Failure.of(error))


def acting_policy(
    env: VectorEnv,
    spec: EnvSpec,
    settings: ImpalaSettings,
    precision: str,
    read_weights: Callable[[Tensor], int],
    seed: int,
) -> NetPolicy:
    """Make the policy of an actor, after a look at its environments.

    Raises:
        InvalidArgumentError: They differ from what they must be like.
    """
    for name, found, needed in zip(spec._fields, EnvSpec.of(env), spec, strict=True):
        if found != needed:
            raise InvalidArgumentError(
                f"This actor's environments differ from those that the learner was made for: "
                f"{name} is {found}, but must be {needed}. The function that makes environments "
                "must make the same kind each time."
            )
    net = ImpalaNet.of(spec, settings, precision)
    return NetPolicy(net, read_weights, seed)


class FilledUnroll(NamedTuple):
    """A complete unroll, to be given back with `release`.

    Attributes:
        slot: Its number, or that of its actor.
        unroll: Its arrays, in shared memory.
        report: What happened during it.
    """

    slot: int
    unroll: Unroll
    report: Report


class Actors(Protocol):
    """Those who play."""

    restarts: int

    @property
    def process_ids(self) -> list[int]:
        """The ids of their processes on this machine."""

    def publish(self, weights: Tensor, version: int) -> None:
        """Show new weights to the actors; they take them at their next unroll."""

    def receive(self, timeout: float) -> FilledUnroll | None:
        """Wait for a complete unroll; None if there was none in so many seconds."""

    def release(self, filled: FilledUnroll) -> None:
        """Give an unroll back; its arrays must not be read any more."""

    def close(self) -> None:
        """End the actors."""


def actor_seed(seed: int, number: int, starts: int) -> int:
    """The seed of an actor's environments and choices, another one each time it is started."""
    return derived_seed(seed, "actor", number, starts, below=ENV_SEEDS)


@dataclass
class WatchedActor:
    """One actor as the learner sees it.

    Attributes:
        number: Its number; a replacement keeps it.
        ready: Whether its environments are made.
        heard: When it last gave a sign of life, or was last given something to do.
        starts: How often it was started.
        failures: How often it died without an unroll in between.
        reported_cause: Why it died, as the user was last told.
    """

    number: int
    ready: bool = False
    heard: float = 0.0
    starts: int = 0
    failures: int = 0
    reported_cause: str = ""


def note_failure(
    actor: WatchedActor, failure: Failure | None, limit: int, code: int | None = None
) -> None:
    """Count that an actor died, and tell why, unless that is the end of the run.

    What it dies of again and again is told once.

    Args:
        actor: The actor.
        failure: What it said, or what was found out about it.
        limit: How often it may die without an unroll in between.
        code: The exit code of its process.

    Raises:
        HxWrappersError: It died too often, or could not even begin to play; says why.
    """
    actor.failures += 1
    at_once = failure is not None and bool(failure.traceback) and actor.starts == 1
    if actor.failures >= limit or (at_once and not actor.ready):
        raise _as_error(actor.number, actor.failures, failure, code)
    why = cause_of_death(code) if failure is None else failure.message
    if why != actor.reported_cause:
        actor.reported_cause = why
        shown = why if failure is None else failure.traceback or why
        tqdm.write(f"Actor {actor.number} has died and is replaced: {shown}", file=sys.stderr)


def _as_error(
    number: int, failures: int, failure: Failure | None, code: int | None
) -> HxWrappersError:
    times = f"{failures} times in a row" if failures > 1 else "at its start"
    who = f"Actor {number} failed {times}"
    if failure is None:
        return WorkerError(
            f"{who}, the last time without an error of its own ({cause_of_death(code)}). {ADVICE}"
        )
    known = getattr(errors, failure.kind, None)
    kind: type[HxWrappersError] = WorkerError
    if isinstance(known, type) and issubclass(known, HxWrappersError):
        kind = known
    cause = f":\n\n{failure.traceback}" if failure.traceback else f": {failure.message}."
    return kind(f"{who}{cause}")
