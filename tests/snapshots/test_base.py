"""Wrappers are known by their class and its bases, not by their name alone."""

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers import DemoResetCurriculum
from hxwrappers.demos import Demo, DemoRecording
from hxwrappers.demos.environment import make_environment
from hxwrappers.errors import DemoError
from hxwrappers.snapshots.base import NEUTRAL_LAYERS, layer_name

ENV = "CartPole-v1"
ACTIONS = (0, 1) * 6


class PatchedTimeLimit(gym.wrappers.TimeLimit):
    """As RL Baselines3 Zoo replaces it: another class, another `step`, the same limit."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "TimeLimit.truncated": False}


def derived(kind):
    return type(f"Patched{kind.__name__}", (kind,), {})


def monitored(env):
    return pytest.importorskip("stable_baselines3.common.monitor").Monitor(env)


LAYERS = {
    "TimeLimit": lambda env: gym.wrappers.TimeLimit(env, 100),
    "PatchedTimeLimit": lambda env: PatchedTimeLimit(env, 100),
    "RecordEpisodeStatistics": gym.wrappers.RecordEpisodeStatistics,
    "derived statistics": derived(gym.wrappers.RecordEpisodeStatistics),
    "derived order": derived(gym.wrappers.OrderEnforcing),
    "derived checker": derived(gym.wrappers.PassiveEnvChecker),
    "derived pictures": derived(gym.wrappers.RenderCollection),
    "Monitor": monitored,
    "derived Monitor": lambda env: derived(type(monitored(env)))(env),
}


def plain():
    return gym.make(ENV, render_mode="rgb_array")


def recorded(env):
    recording = DemoRecording(env, snapshot_every=4)
    recording.reset(seed=0)
    for action in ACTIONS:
        recording.step(action)
    return recording.demo()


@pytest.mark.parametrize("name", LAYERS)
def test_a_neutral_wrapper_and_what_derives_from_it(name, tmp_path):
    wrap = LAYERS[name]
    assert layer_name(wrap(plain())) in NEUTRAL_LAYERS
    for there, here in ((wrap, lambda env: env), (lambda env: env, wrap), (wrap, wrap)):
        recorded(there(plain())).save(tmp_path / "demo.npz")
        demo = Demo.load(tmp_path / "demo.npz")
        assert demo.verify(here(plain())).ok
        env = DemoResetCurriculum(here(plain()), demo, window=0)
        _, info = env.reset(seed=0)
        assert info["starting_point"] == len(demo) - 1


def test_a_library_that_replaces_the_time_limit(monkeypatch, tmp_path):
    recorded(plain()).save(tmp_path / "before.npz")
    monkeypatch.setattr(gym.wrappers, "TimeLimit", PatchedTimeLimit)
    monkeypatch.setattr(gym.envs.registration, "TimeLimit", PatchedTimeLimit, raising=False)
    env = plain()
    assert isinstance(env, PatchedTimeLimit)
    recorded(env).save(tmp_path / "after.npz")
    for name in ("before", "after"):
        demo = Demo.load(tmp_path / f"{name}.npz")
        assert demo.verify(make_environment(demo)).ok
        DemoResetCurriculum(env, demo).reset(seed=0)
    monkeypatch.undo()
    assert not isinstance(plain(), PatchedTimeLimit)
    assert Demo.load(tmp_path / "after.npz").verify(plain()).ok


def test_another_class_of_the_same_name_is_told_apart():
    class Monitor(gym.ObservationWrapper):
        def observation(self, observation):
            return np.zeros_like(observation)

    class ClipReward(gym.RewardWrapper):
        def reward(self, reward):
            return 10 * reward

    for kind in (Monitor, ClipReward):
        demo = recorded(kind(plain()))
        with pytest.raises(DemoError, match=kind.__name__):
            DemoResetCurriculum(plain(), demo)
        with pytest.raises(DemoError, match=kind.__name__):
            make_environment(demo)
