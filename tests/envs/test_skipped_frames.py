"""Frame skip that makes no pictures of dropped frames shows what Gymnasium's own shows."""

from functools import partial

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from hxwrappers import DemoResetCurriculum, SkipReplayedSteps
from hxwrappers.demos import shipped
from hxwrappers.envs import atari, make_atari
from tests.wrappers.curricula import tracker_of


def trajectory():
    demo = shipped("montezuma-first-key")
    curriculum = partial(
        DemoResetCurriculum,
        demo=demo,
        tracker=tracker_of(demo, window=32),
        replay_steps=16,
        replay_multiple=4,
    )
    env = make_atari("montezuma_revenge", frame_wrapper=curriculum)
    env = SkipReplayedSteps(env)
    actions, seen = np.random.default_rng(0), [env.reset(seed=1)]
    for _ in range(150):
        seen.append(env.step(int(actions.integers(18))))
        if seen[-1][2] or seen[-1][3]:
            seen[-1][4]["episode"].pop("t")  # seconds
            seen.append(env.reset())
    return env, seen


def test_the_same_is_seen(monkeypatch):
    env, seen = trajectory()
    assert env.unwrapped._obs_type == "rgb"
    assert env.get_wrapper_attr("_in_ram")
    assert sum(len(each) == 2 for each in seen) > 3  # episodes
    monkeypatch.setattr(atari, "SkippedFrames", gym.wrappers.AtariPreprocessing)
    for left, right in zip(seen, trajectory()[1], strict=True):
        assert data_equivalence(left, right)


class Looking(gym.ObservationWrapper):
    def observation(self, observation):
        self.shape = observation.shape
        return observation


def test_a_wrapper_that_looks_at_frames_is_shown_them():
    env = make_atari("montezuma_revenge", frame_wrapper=Looking)
    env.reset(seed=0)
    for _ in range(3):
        env.step(0)
    assert env.get_wrapper_attr("shape") == (210, 160, 3)
