"""The switch `training` reaches the wrapper that has it, from outside."""

import gymnasium as gym
import pytest
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from hxwrappers import (
    DemoRecorder,
    DemoResetCurriculum,
    FrameInInfo,
    RNDBonus,
    SkipReplayedSteps,
    StickyActions,
    vector,
)
from hxwrappers.sb3 import VecRNDBonus, VecStickyActions
from tests.demos.samples import lake_demo, lake_env
from tests.envs_for_tests import Corridor, Painted
from tests.wrappers.curricula import tracker_of


def curriculum():
    demo = lake_demo()
    return DemoResetCurriculum(lake_env(), demo, tracker_of(demo), replay_steps=2)


def begins_inside(env):
    return "starting_point" in env.reset()[1]


@pytest.mark.parametrize("outside", [SkipReplayedSteps, StickyActions])
@pytest.mark.parametrize(
    "between", [lambda env: env, lambda env: TimeLimit(RecordEpisodeStatistics(env), 100)]
)
def test_set_outside_it_is_the_curriculums(outside, between):
    env = outside(between(curriculum()))
    assert env.training
    assert begins_inside(env)
    env.training = False
    assert not env.training
    assert not begins_inside(env)
    env.training = True
    assert begins_inside(env)


def test_it_goes_through_wrappers_of_gymnasium():
    env = TimeLimit(RecordEpisodeStatistics(SkipReplayedSteps(StickyActions(curriculum()))), 100)
    assert env.get_wrapper_attr("training")
    assert env.set_wrapper_attr("training", False)
    assert not begins_inside(env)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StickyActions(RNDBonus(Corridor(), warmup_steps=4)),
        lambda: DemoRecorder(RNDBonus(Corridor(), warmup_steps=4)),
        lambda: FrameInInfo(RNDBonus(Painted(render_mode="rgb_array"), warmup_steps=4)),
        lambda: vector.StickyActions(vector.RNDBonus(SyncVectorEnv([Corridor]), warmup_steps=4)),
    ],
)
def test_set_outside_it_is_the_bonuss(make):
    env = make()
    env.training = False
    assert not env.env.training


def test_under_stable_baselines3():
    bonus = VecRNDBonus(DummyVecEnv([Corridor]), warmup_steps=4)
    sticky = VecStickyActions(VecMonitor(bonus))
    sticky.training = False
    assert not bonus.training
    # Read through wrappers around it, which would refuse what two wrappers inside have.
    assert VecMonitor(sticky).training is False


@pytest.mark.parametrize(
    "make",
    [
        lambda: StickyActions(Corridor()),
        lambda: vector.StickyActions(SyncVectorEnv([Corridor])),
        lambda: VecStickyActions(DummyVecEnv([Corridor])),
    ],
)
def test_where_nothing_inside_has_it_there_is_none(make):
    env = make()
    assert not hasattr(env, "training")
    with pytest.raises(AttributeError, match="nothing inside it has one"):
        env.training = False


def test_wrappers_of_gymnasium_do_not_find_it_either():
    env = TimeLimit(StickyActions(gym.make("CartPole-v1")), 100)
    assert not env.has_wrapper_attr("training")
    with pytest.raises(AttributeError):
        env.get_wrapper_attr("training")


def test_in_a_vector_of_gymnasium():
    envs = vector.StickyActions(SyncVectorEnv([lambda: TimeLimit(curriculum(), 100)] * 2))
    assert "starting_point" in envs.reset()[1]
    envs.unwrapped.set_attr("training", False)
    assert "starting_point" not in envs.reset()[1]
