"""Actors on the machines of a Ray cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.error import DependencyNotInstalled
from gymnasium.vector.utils import CloudpickleWrapper
from torch import Tensor

from hxwrappers.errors import ActorError
from hxwrappers.impala.actor import Failure, MakeVectorEnv, acting_policy
from hxwrappers.impala.backend import Filled, actor_seed, as_error
from hxwrappers.impala.reports import Report
from hxwrappers.impala.sampler import Sampler, run_actor
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.spec import EnvSpec
from hxwrappers.impala.unrolls import Unroll, UnrollShape

__all__ = ["RayActors"]

UNROLLS_IN_FLIGHT = 2


class _RemoteActor:
    """What lives on another machine; each call plays one unroll."""

    def __init__(
        self,
        make_env: Any,
        spec: EnvSpec,
        settings: ImpalaSettings,
        precision: str,
        seed: int,
    ) -> None:
        torch.set_num_threads(1)
        env = make_env()
        self._shape = UnrollShape(spec.layout, settings.unroll_length, spec.num_envs, settings.lstm)
        policy = acting_policy(env, spec, settings, precision, self._read, seed)
        self._sampler = Sampler(env, policy, seed)
        self._weights: npt.NDArray[np.float32] | None = None
        self._version = 0
        self._played: list[tuple[Unroll, Report]] = []
        self._wanted = False

    def play(
        self, weights: npt.NDArray[np.float32], version: int
    ) -> tuple[dict[str, npt.NDArray[Any]], Report]:
        """Play one unroll with these weights."""
        self._weights, self._version, self._wanted = weights, version, True
        run_actor(self._sampler, self)
        unroll, report = self._played.pop()
        return unroll.arrays(), report

    def acquire(self) -> Unroll | None:
        """One unroll for each call."""
        wanted, self._wanted = self._wanted, False
        return self._shape.allocate() if wanted else None

    def deliver(self, unroll: Unroll, report: Report) -> None:
        """Keep it for the answer, which Ray puts into its object store."""
        self._played.append((unroll, report))

    def _read(self, into: Tensor) -> int:
        assert self._weights is not None
        np.copyto(into.numpy(), self._weights)
        return self._version


@dataclass
class _Actor:
    """One actor as the learner sees it; see `hxwrappers.impala.processes` for the fields."""

    number: int
    handle: Any = None
    heard: float = 0.0
    starts: int = 0
    failures: int = 0


class RayActors:
    """Plays in actors of a Ray cluster, with the interface of `ProcessActors`.

    Unrolls travel through Ray's object store, and so do the weights, once for each version that is
    used. An actor that dies, alone or with its machine, is replaced wherever there is room.

    Args:
        make_env: Makes the environments of one actor, on its machine.
        spec: What they must be like.
        settings: How many actors, and all else.
        precision: "float32" or "bfloat16".
        weights: The first weights, from `flat_weights`.
        seed: Seed of the actors.
        version: The version of the first weights.

    Attributes:
        restarts: How many actors were replaced so far.
        process_ids: Empty: the processes are Ray's.

    Raises:
        DependencyNotInstalled: The extra `ray` is missing.
    """

    def __init__(
        self,
        make_env: MakeVectorEnv,
        spec: EnvSpec,
        settings: ImpalaSettings,
        precision: str,
        weights: Tensor,
        seed: int,
        version: int = 0,
    ) -> None:
        self.restarts = 0
        self.process_ids: list[int] = []
        self._ray = _import_ray()
        self._settings, self._seed = settings, seed
        as_any: Any = make_env  # CloudpickleWrapper is annotated for makers of single environments
        self._arguments = (CloudpickleWrapper(as_any), spec, settings, precision)
        self._started_ray = not self._ray.is_initialized()
        if self._started_ray:
            address = settings.ray_address
            local = {"include_dashboard": False} if address is None else {}
            self._ray.init(address, log_to_driver=False, **local)
        self._remote = self._ray.remote(
            num_cpus=settings.cpus_per_actor, max_restarts=0, max_task_retries=0
        )(_RemoteActor)
        self._flights: dict[Any, tuple[_Actor, Any]] = {}
        self._actors = [_Actor(number) for number in range(settings.num_actors)]
        self.publish(weights, version)
        for actor in self._actors:
            self._start(actor)

    def publish(self, weights: Tensor, version: int) -> None:
        """Show new weights to the actors; they take them at their next unroll."""
        self._weights, self._version = weights.numpy().copy(), version
        self._weights_there: Any = None

    def receive(self, timeout: float) -> Filled | None:
        """Wait for a complete unroll; see `ProcessActors.receive`."""
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            arrived, _ = self._ray.wait(list(self._flights), num_returns=1, timeout=remaining)
            if not arrived:
                self._check_silence()
                return None
            actor, handle = self._flights.pop(arrived[0])
            if handle is not actor.handle:
                continue  # sent by one that was replaced
            try:
                arrays, report = self._ray.get(arrived[0])
            except self._ray.exceptions.RayError as error:
                self._replace(actor, error)
                continue
            actor.heard, actor.failures = time.monotonic(), 0
            return Filled(actor.number, Unroll.of(arrays), report)
        return None

    def release(self, filled: Filled) -> None:
        """Let the unroll go, and ask its actor for another one."""
        self._ask(self._actors[filled.slot])

    def close(self) -> None:
        """End the actors, and Ray if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor.handle)
        self._flights.clear()
        if self._started_ray:
            self._ray.shutdown()

    def _start(self, actor: _Actor) -> None:
        seed = actor_seed(self._seed, actor.number, actor.starts)
        actor.handle = self._remote.remote(*self._arguments, seed)
        actor.heard = time.monotonic()
        actor.starts += 1
        for _ in range(UNROLLS_IN_FLIGHT):
            self._ask(actor)

    def _ask(self, actor: _Actor) -> None:
        in_flight = sum(handle is actor.handle for _, handle in self._flights.values())
        if in_flight >= UNROLLS_IN_FLIGHT:
            return
        if self._weights_there is None:
            self._weights_there = self._ray.put(self._weights)
        flight = actor.handle.play.remote(self._weights_there, self._version)
        self._flights[flight] = (actor, actor.handle)

    def _replace(self, actor: _Actor, error: Exception) -> None:
        actor.failures += 1
        if actor.failures >= self._settings.max_failures:
            cause = getattr(error, "cause", None)
            kind = type(cause or error).__name__
            raise as_error(
                actor.number, actor.failures, Failure(kind, str(error), str(error)), None
            ) from error
        self._ray.kill(actor.handle)
        self.restarts += 1
        self._start(actor)

    def _check_silence(self) -> None:
        silent = time.monotonic() - max(actor.heard for actor in self._actors)
        if silent > self._settings.actor_timeout:
            raise ActorError(
                f"No actor on the Ray cluster was heard of for {silent:.0f} s while waiting for an "
                f"unroll. The cluster has {self._ray.available_resources()} free; each actor needs "
                f"{self._settings.cpus_per_actor:g} CPU. Add machines, or lower cpus_per_actor or "
                "num_actors."
            )


def _import_ray() -> Any:
    try:
        import ray  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise DependencyNotInstalled(
            'Actors on other machines need Ray: pip install "hxwrappers[ray]".'
        ) from error
    return ray
