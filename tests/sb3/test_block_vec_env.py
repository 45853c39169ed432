"""Environments in a few processes give what they give in one, and count episodes in one order."""

import gc
import multiprocessing
import os
import signal
import time
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import BlockVecEnv
from tests.demos.samples import lake_demo


class Failing(gym.Wrapper):
    def step(self, action):
        if action == 1:
            raise InvalidArgumentError("no such luck")
        return self.env.step(action)


def make_pole():
    return Monitor(gym.make("CartPole-v1", max_episode_steps=9))


def without_seconds(infos):
    for info in infos:
        info.get("episode", {}).pop("t", None)
    return infos


@pytest.mark.parametrize(
    "start_method", ["fork", pytest.param("forkserver", marks=pytest.mark.slow)]
)
def test_the_same_as_in_one_process(start_method):
    one = DummyVecEnv([make_pole] * 3)
    blocks = BlockVecEnv([make_pole] * 3, processes=2, start_method=start_method)
    assert blocks.observation_space == one.observation_space
    for envs in (one, blocks):
        envs.seed(5)
    np.testing.assert_array_equal(one.reset(), blocks.reset())
    rng = np.random.default_rng(0)
    for _ in range(30):
        actions = rng.integers(0, 2, 3)
        left, right = one.step(actions), blocks.step(actions)
        for mine, theirs in zip(left[:3], right[:3], strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
        assert data_equivalence(without_seconds(left[3]), without_seconds(right[3]))
        assert data_equivalence(one.reset_infos, blocks.reset_infos)
    assert blocks.env_is_wrapped(Monitor, [2, 0]) == [True, True]
    blocks.env_method("set_wrapper_attr", "mark", 7, indices=[2])
    blocks.set_attr("mark", 3, indices=[0, 1])
    assert blocks.get_attr("mark", [2, 1, 0]) == [7, 3, 3]
    assert blocks.has_attr("mark")
    assert not blocks.has_attr("nothing")
    blocks.close()


def played(processes, demo):
    tracker = SuccessTracker(demo, FrontierSettings(window=3, update_every=2))

    def make():
        env = gym.make("FrozenLake-v1", is_slippery=False)
        return OneHot(DemoResetCurriculum(env, demo, tracker))

    envs = BlockVecEnv([make] * 5, processes, tracker, start_method="fork")
    envs.seed(0)
    envs.reset()
    rng = np.random.default_rng(0)
    course = []
    for _ in range(60):
        envs.step(rng.integers(0, 4, 5))
        course.append((tracker.episodes, tracker.frontiers.tolist()))
    envs.close()
    return course, tracker.state_dict()["words"].tolist()


class OneHot(gym.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0, 1, (16,), np.float32)

    def observation(self, observation):
        return np.eye(16, dtype=np.float32)[observation]


@pytest.mark.slow
def test_episodes_are_counted_in_one_order_whatever_the_number_of_processes():
    demo = lake_demo()
    first = played(1, demo)
    assert first[0][-1][0] > 20
    assert len({tuple(frontiers) for _, frontiers in first[0]}) > 1
    for processes in (2, 5):
        assert data_equivalence(first, played(processes, demo))


def test_an_interrupt_is_for_the_main_process_and_its_end_ends_the_others():
    envs = BlockVecEnv([make_pole] * 2, start_method="fork")
    envs.reset()
    processes = [worker.pid for worker in envs._workers]
    for process in processes:
        os.kill(process, signal.SIGINT)
    envs.step(np.array([0, 1]))
    del envs  # as at the end of a program that closes nothing
    gc.collect()
    assert not any(child.pid in processes for child in multiprocessing.active_children())


class Counting(gym.Env):
    """Shows its number of steps; fails where the action is 1, and is slow where it is 2."""

    observation_space = gym.spaces.Box(0, 99, (1,))
    action_space = gym.spaces.Discrete(3)
    number = 0

    def reset(self, *, seed=None, options=None):
        self.number = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.number += 1
        if action == 1:
            raise InvalidArgumentError("no such luck")
        if action == 2:
            time.sleep(0.5)
        return np.full(1, self.number, np.float32), self.number, False, False, {}


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


def fail(envs):
    with pytest.raises(InvalidArgumentError, match="no such luck"):
        envs.step(np.array([1, 0, 0]))


def interrupt(envs):
    def stop(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(Interrupted):
        envs.step(np.array([2, 0, 0]))
    signal.signal(signal.SIGALRM, before)


def leave(envs):
    envs.step_async(np.zeros(3, np.int64))


@pytest.mark.parametrize("go_wrong", [fail, interrupt, leave])
def test_no_answer_is_left_for_a_later_call(go_wrong):
    envs = BlockVecEnv([Counting] * 3, processes=3, start_method="fork")
    envs.reset()
    go_wrong(envs)
    assert envs.get_attr("number") == [1, 1, 1]
    go_wrong(envs)
    observations, rewards, *_ = envs.step(np.zeros(3, np.int64))
    assert observations.ravel().tolist() == rewards.tolist() == [3, 3, 3]
    go_wrong(envs)
    assert not envs.reset().any()
    with pytest.raises(AttributeError):
        envs.env_method("nothing")
    assert envs.get_attr("number") == [0, 0, 0]
    envs.close()


@pytest.mark.slow
def test_what_goes_wrong_is_said_here():
    with pytest.raises(InvalidArgumentError, match="at least one environment"):
        BlockVecEnv([])
    tracker = SuccessTracker(lake_demo(), store=LocalStore())
    with pytest.raises(InvalidArgumentError, match="LocalStore"):
        BlockVecEnv([make_pole], tracker=tracker)
    with pytest.raises(InvalidArgumentError, match="SubprocVecEnv"):
        BlockVecEnv([partial(gym.make, "Blackjack-v1")], start_method="fork")
    with pytest.raises(gym.error.NameNotFound):
        BlockVecEnv([partial(gym.make, "Nothing-v7")], start_method="fork")
    envs = BlockVecEnv([lambda: Failing(make_pole())] * 2, start_method="fork")
    envs.reset()
    with pytest.raises(InvalidArgumentError, match="no such luck") as caught:
        envs.step(np.array([0, 1]))
    assert "In a worker process" in caught.value.__notes__[0]
    envs.close()
