"""Environments and a training run for the tests that start processes."""

from __future__ import annotations

import json
import multiprocessing
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import SuccessTracker
from hxwrappers.errors import DemoError
from hxwrappers.impala import Impala, ImpalaSettings
from hxwrappers.impala.policy import checkpoints
from tests.demos.samples import lake_env
from tests.envs_for_tests import Corridor


def make_corridors() -> VectorEnv:
    return SyncVectorEnv([Corridor, Corridor])


def make_in_processes() -> VectorEnv:
    return AsyncVectorEnv([Corridor, Corridor])


def make_lakes(tracker: SuccessTracker) -> VectorEnv:
    """A curriculum on the frozen lake, of which one of sixteen cells is observed."""

    def make() -> gym.Env[Any, Any]:
        env = DemoResetCurriculum(lake_env(), tracker.demos, tracker)
        return gym.wrappers.FlattenObservation(env)

    return SyncVectorEnv([make, make])


def in_an_actor() -> bool:
    """Whether this is a process of an actor, be it one of this library or one of Ray."""
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        worker = sys.modules["ray"].get_runtime_context().get_actor_id()
        return worker is not None
    return multiprocessing.current_process().name.startswith("Actor")


def make_wider_in_actors() -> VectorEnv:
    env = make_corridors()
    if in_an_actor():
        env.single_action_space = spaces.Discrete(7)
    return env


def make_taller_in_actors() -> VectorEnv:
    if not in_an_actor():
        return make_corridors()
    stacked = [gym.wrappers.FrameStackObservation(Corridor(), 2) for _ in range(2)]
    return SyncVectorEnv([partial(gym.wrappers.FlattenObservation, env) for env in stacked])


def fail_in_actors() -> VectorEnv:
    if in_an_actor():
        raise OSError("the emulator is on strike")
    return make_corridors()


class Crashing(gym.Wrapper):
    """Fails in its thirtieth step."""

    steps = 0
    error: type[Exception] = ZeroDivisionError

    def step(self, action):
        self.steps += 1
        if self.steps >= 30:
            raise self.error("the thirtieth step")
        return self.env.step(action)


def crash_in_actors() -> VectorEnv:
    return SyncVectorEnv([lambda: Crashing(Corridor())] * 2)


class Unnumbered(gym.ObservationWrapper):
    """Gives NaN in its thirtieth observation."""

    count = 0

    def observation(self, observation):
        self.count += 1
        return observation * np.float32(np.nan) if self.count == 30 else observation


def give_nan_in_actors() -> VectorEnv:
    return SyncVectorEnv([Corridor, lambda: Unnumbered(Corridor())])


class Losing(Crashing):
    """Fails with an error of the library."""

    error = DemoError


def lose_the_table_in_actors() -> VectorEnv:
    return SyncVectorEnv([lambda: Losing(Corridor())] * 2)


class Orphaned(Crashing):
    """Fails as an AsyncVectorEnv does of which a process was killed."""

    error = EOFError


def lose_a_process_in_actors() -> VectorEnv:
    return SyncVectorEnv([lambda: Orphaned(Corridor())] * 2)


class Stuck(gym.Wrapper):
    """Never returns from its thirtieth step."""

    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps >= 30:
            multiprocessing.Event().wait()
        return self.env.step(action)


def get_stuck() -> VectorEnv:
    return SyncVectorEnv([lambda: Stuck(Corridor())] * 2)


def settings(**options) -> ImpalaSettings:
    defaults = {
        "num_actors": 1,
        "envs_per_actor": 2,
        "batch_size": 4,
        "unroll_length": 10,
        "features": 8,
        "log_every": 0.0,
        "checkpoint_every": 0.2,
    }
    return ImpalaSettings(**(defaults | options))


def main(folder: str, total_timesteps: int) -> None:
    """Train, and tell the actors' ids in a file once there is a checkpoint."""
    run = Impala(make_corridors, settings(), folder)
    if checkpoints(Path(folder)):
        run.resume()
    save = run.save

    def save_and_tell() -> Path | None:
        path = save()
        reported_cause = Path(folder) / "told.tmp"
        reported_cause.write_text(
            json.dumps({"actors": run.process_ids, "steps": run.num_timesteps})
        )
        reported_cause.replace(Path(folder) / "told.json")
        return path

    run.save = save_and_tell  # type: ignore[method-assign]
    run.train(total_timesteps, progress=False)
