"""A vector of environments in a few processes, each of which steps a block of them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, pairwise
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from hxwrappers._utils.checks import require_count
from hxwrappers._utils.processes import WorkerProcess, answers, end_all, fast_context, serve
from hxwrappers.curriculum import LocalStore, SuccessTracker
from hxwrappers.curriculum.tracker import Report
from hxwrappers.errors import InvalidArgumentError

_SECONDS_TO_CLOSE = 60.0  # environments may have something to save

_Makers = Sequence[Callable[[], gym.Env[Any, Any]]]

_OF_ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
"""Spaces whose observations are arrays of one shape."""


class BlockVecEnv(VecEnv):
    """Steps many environments in a few processes, each of them a block: one process for each core.

    Stable-Baselines3's `SubprocVecEnv` has a process and a message for each environment, which
    costs more than a game's step where there are many more environments than cores. Here
    observations lie in memory that the processes share, and a block sends one message a step.

    With a `tracker`, the episodes of a step are counted by this process, in the order of the
    environments, before the next step begins. So a run with a `DemoResetCurriculum` can be repeated
    bit for bit, and is the same for any number of processes.

    Args:
        env_fns: Functions that make one environment each.
        processes: How many processes; at most one for each environment.
        tracker: The tracker that the curricula of `env_fns` share, in a file.
        start_method: "forkserver", "spawn" or "fork"; None takes the first that there is.

    Raises:
        InvalidArgumentError: There is no environment or no process, or the tracker's table is in
            this process alone.
        InvalidArgumentError: Observations are no arrays.
        WorkerError: A process has died; raised by the call that notices it.

    Example:
        >>> from stable_baselines3 import PPO
        >>> make = lambda: gym.make("CartPole-v1")
        >>> envs = BlockVecEnv([make] * 4, processes=2)
        >>> model = PPO("MlpPolicy", envs, n_steps=16, batch_size=16).learn(64)
        >>> envs.close()
    """

    def __init__(
        self,
        env_fns: _Makers,
        processes: int = 2,
        tracker: SuccessTracker | None = None,
        start_method: str | None = None,
    ) -> None:
        require_count("processes", processes, 1)
        if not env_fns:
            raise InvalidArgumentError("A vector needs at least one environment.")
        if tracker is not None and isinstance(tracker.store, LocalStore):
            raise InvalidArgumentError(
                "The tracker's table is in this process alone (a LocalStore), so others cannot "
                "read it. Make it without a store, or with the path of a file."
            )
        self._tracker = tracker
        bounds = np.linspace(0, len(env_fns), min(processes, len(env_fns)) + 1).astype(int)
        self._bounds = list(pairwise(bounds.tolist()))
        context = fast_context(start_method)
        resource_tracker.ensure_running()  # one for all, which forked processes inherit
        self._workers: list[WorkerProcess] = []
        self._stop = weakref.finalize(self, _stop, self._workers)
        forked = context.get_start_method() == "fork"
        for start, stop in self._bounds:
            # In one piece, so that what they share, such as a tracker, they share there too.
            packed = cloudpickle.dumps((list(env_fns[start:stop]), tracker is not None))
            self._workers.append(
                WorkerProcess(
                    "A process of a BlockVecEnv",
                    serve,
                    _make_block,
                    packed,
                    forked,
                    context=context,
                )
            )
        for worker in self._workers:
            worker.call("spaces")
        made = answers(self._workers)
        space, action_space, metadata = made[0]
        if not isinstance(space, _OF_ARRAYS):
            self.close()
            raise InvalidArgumentError(
                f"Observations in {space} are no arrays, which processes could share. Use "
                "stable_baselines3.common.vec_env.SubprocVecEnv."
            )
        shape = (len(env_fns), *(space.shape or ()))
        memory = SharedMemory(create=True, size=max(1, math.prod(shape) * space.dtype.itemsize))
        self._observations: np.ndarray = np.ndarray(shape, space.dtype, buffer=memory.buf)
        for worker, (start, stop) in zip(self._workers, self._bounds, strict=True):
            worker.call("share", memory.name, len(env_fns), start, stop)
        answers(self._workers)
        memory.unlink()  # all have it open now; should they be killed, it is gone with them
        self._memory = memory
        super().__init__(len(env_fns), space, action_space)
        self.metadata = metadata

    def step_async(self, actions: np.ndarray) -> None:
        """Have every block take its step."""
        for worker, (start, stop) in self._ready():
            worker.call("step_block", actions[start:stop])

    def step_wait(self) -> VecEnvStepReturn:
        """Wait for all of them, and count the episodes that ended."""
        rewards, dones, infos, resets, held = zip(*answers(self._workers), strict=True)
        for (start, _), block in zip(self._bounds, resets, strict=True):
            for index, info in block.items():
                self.reset_infos[start + index] = info
        self._count(held)
        observations = self._observations.copy()
        return observations, np.concatenate(rewards), np.concatenate(dones), list(chain(*infos))

    def reset(self) -> VecEnvObs:
        """Reset all environments, with the seeds and options that were set."""
        for worker, (start, stop) in self._ready():
            worker.call("reset_block", self._seeds[start:stop], self._options[start:stop])
        infos, held = zip(*answers(self._workers), strict=True)
        self.reset_infos = list(chain(*infos))
        self._count(held)
        self._reset_seeds()
        self._reset_options()
        return self._observations.copy()

    def close(self) -> None:
        """Close the environments and end the processes."""
        self._stop()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of each environment."""
        for worker, _ in self._ready():
            worker.call("get_images")
        return list(chain(*answers(self._workers)))

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of each environment or of a wrapper in it."""
        return self._call("get_attr", indices, attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of each environment's outermost wrapper."""
        self._call("set_attr", indices, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of each environment or of a wrapper in it."""
        return self._call("env_method", indices, method_name, *method_args, **method_kwargs)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether each environment has such a wrapper."""
        return self._call("env_is_wrapped", indices, wrapper_class)

    def _count(self, held: Sequence[list[Report]]) -> None:
        for start, success, steps in chain(*held):
            assert self._tracker is not None
            self._tracker.report(start, success=success, steps=steps)

    def _call(self, method: str, indices: VecEnvIndices, *args: Any, **kwargs: Any) -> list[Any]:
        wanted = list(self._get_indices(indices))
        called: dict[WorkerProcess, list[int]] = {}
        for worker, (start, stop) in self._ready():
            own = [index for index in wanted if start <= index < stop]
            if own:
                local = [index - start for index in own]
                worker.call(method, *args, **kwargs, indices=local)
                called[worker] = own
        found: dict[int, Any] = {}
        for own, values in zip(called.values(), answers(called), strict=True):
            found |= zip(own, values or [None] * len(own), strict=True)
        return [found[index] for index in wanted]

    def _ready(self) -> list[tuple[WorkerProcess, tuple[int, int]]]:
        """The processes and their blocks, for the next call; an interrupt may have left answers."""
        for worker in self._workers:
            worker.drop_answers()
        return list(zip(self._workers, self._bounds, strict=True))


class _Block(DummyVecEnv):
    """The environments of a process, whose observations go into shared memory."""

    def __init__(self, env_fns: _Makers, *, holds: bool) -> None:
        super().__init__(list(env_fns))
        self._trackers: list[SuccessTracker] = []
        if holds:
            known = {id(tracker): tracker for tracker in self.get_attr("tracker")}
            self._trackers = list(known.values())
            for tracker in self._trackers:
                tracker.hold()

    def spaces(self) -> tuple[Any, ...]:
        """What the environments observe and do, and their metadata."""
        return self.observation_space, self.action_space, self.metadata

    def share(self, name: str, num_envs: int, start: int, stop: int) -> None:
        """Put observations into this part of that memory from now on."""
        self._memory = SharedMemory(name)
        space = self.observation_space
        shape = (num_envs, *(space.shape or ()))
        whole: Any = np.ndarray(shape, space.dtype, buffer=self._memory.buf)
        self.buf_obs[None] = whole[start:stop]  # type: ignore[index]

    def step_block(self, actions: np.ndarray) -> tuple[Any, ...]:
        """Rewards, ends, infos, infos of resets by index, and the reports of a step."""
        _, rewards, dones, infos = self.step(actions)
        resets = {int(index): self.reset_infos[index] for index in np.flatnonzero(dones)}
        return rewards, dones, infos, resets, self._reports()

    def reset_block(
        self, seeds: list[int | None], options: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[Report]]:
        """Infos and reports of the resets."""
        self._seeds, self._options = seeds, options
        self.reset()
        return self.reset_infos, self._reports()

    def _obs_from_buf(self) -> VecEnvObs:
        return self.buf_obs[None]  # type: ignore[index]  # no copy: it stays where it is

    def _reports(self) -> list[Report]:
        return [report for tracker in self._trackers for report in tracker.take_held()]


def _make_block(packed: bytes, forked: bool) -> _Block:
    torch.set_num_threads(1)  # there is a process for each core
    # A forked process has OpenCV's threads in its books but not in fact; to end them it would wait
    # for them for ever.
    with suppress(ImportError):
        import cv2  # noqa: PLC0415 - optional

        if not forked:
            cv2.setNumThreads(1)
    env_fns, holds = cloudpickle.loads(packed)
    return _Block(env_fns, holds=holds)


def _stop(workers: list[WorkerProcess]) -> None:
    end_all(workers, _SECONDS_TO_CLOSE)
    workers.clear()
