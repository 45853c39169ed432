"""Actors killed at random moments, and the learner gets whole stretches of play, never halves."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import CloudpickleWrapper

from hxwrappers.impala.actor import ActorJob
from hxwrappers.impala.layout import EnvSpec
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.processes import ProcessActors
from hxwrappers.impala.unrolls import flat_weights
from tests.impala import runs


class Counting(gym.Env):
    """Observations count from a number of their own, so that any tear in an unroll shows."""

    observation_space = gym.spaces.Box(0, 2**30, (3000,), np.int64)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = int(self.np_random.integers(2**20)) * 1000 + os.getpid() % 100
        return self.observation(), {}

    def step(self, action):
        self.count += 1
        time.sleep(random.random() * 1e-3)
        return self.observation(), float(self.count % 97), False, False, {}

    def observation(self):
        return np.full(3000, self.count)


def make_counting():
    return SyncVectorEnv([Counting, Counting])


def consistent(unroll):
    """Whether all of an unroll is of one stretch of play."""
    (observations,) = unroll.observations.values()
    counts = observations[..., 0]
    assert (observations == counts[..., None]).all()
    assert (np.diff(counts, axis=0) == 1).all()
    assert (unroll.rewards == counts[1:] % 97).all()
    return counts.copy()


def under_fire(kills):
    """Receive while actors are killed at random moments."""
    settings = runs.settings(num_actors=2, max_failures=10**6, net="mlp")
    spec = EnvSpec.of(make_counting())
    net = ImpalaNet.of(spec, settings, "float32")
    job = ActorJob(CloudpickleWrapper(make_counting), spec, settings, "float32", seed=0)
    actors = ProcessActors(job, flat_weights(net), version=0)
    fired, over, moments = [], threading.Event(), random.Random(0)

    def fire():
        while len(fired) < kills and not over.wait(moments.uniform(0.05, 0.4)):
            try:
                os.kill(moments.choice(actors.process_ids), signal.SIGKILL)
            except (ProcessLookupError, AttributeError, TypeError, ValueError, IndexError):
                continue  # it is just being replaced
            fired.append(time.monotonic())

    thread = threading.Thread(target=fire)
    thread.start()
    received, held = 0, []
    try:
        while thread.is_alive() or received < 4:
            filled = actors.receive(1.0)
            if filled is not None:
                received += 1
                held.append((filled, consistent(filled.unroll)))
            if held and (len(held) > 2 or moments.random() < 0.5):
                filled, counts = held.pop(moments.randrange(len(held)))
                assert (consistent(filled.unroll) == counts).all()
                actors.release(filled)
    finally:
        over.set()
        thread.join()
        actors.close()
    return len(fired), received, actors.restarts


@pytest.mark.timeout(900)  # seconds on an idle machine
def test_nothing_half_written_is_received_under_fire():
    fired, received, restarts = under_fire(kills=2)
    assert fired == 2
    assert received >= 4
    assert 1 <= restarts <= 2


@pytest.mark.long
@pytest.mark.timeout(0)
def test_nothing_half_written_is_received_under_heavy_fire():
    fired, received, restarts = under_fire(kills=300)
    assert fired == 300
    assert received >= 100
    assert restarts > 100
