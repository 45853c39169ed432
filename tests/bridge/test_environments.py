"""Environments: wrappers refuse other kinds, and `training` reaches the one that has it."""

from functools import partial

import gymnasium as gym
import pytest
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import hxwrappers
from hxwrappers import (
    DemoRecorder,
    DemoResetCurriculum,
    FrameInInfo,
    RNDBonus,
    SkipReplayedSteps,
    StickyActions,
    vector,
)
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import VecRNDBonus, VecStickyActions
from tests.demos.samples import lake_demo, lake_env
from tests.envs_for_tests import Corridor, Painted
from tests.wrappers.curricula import tracker_of

WITH_FORMS = ("RNDBonus", "CNDBonus", "StickyActions", "YouTubeImitationReward")


def wrapper(package, name):
    kind = getattr(package, name)
    extra = {
        "YouTubeImitationReward": {"demonstration": "clip", "embedder": "embedder.safetensors"},
        "VecYouTubeImitationReward": {"demonstration": "clip", "embedder": "embedder.safetensors"},
        "DemoResetCurriculum": {"demo": "demo.npz"},
    }
    return partial(kind, **extra.get(name, {}))


def one():
    return gym.make("CartPole-v1")


def many():
    return gym.make_vec("CartPole-v1", 2)


def sb3():
    return pytest.importorskip("stable_baselines3.common.env_util").make_vec_env("CartPole-v1", 2)


@pytest.mark.parametrize("name", WITH_FORMS)
def test_those_with_a_form_for_each_kind(name):
    shelves = {one: f"hxwrappers.{name}", many: f"hxwrappers.vector.{name}"}
    shelves[sb3] = f"hxwrappers.sb3.Vec{name}"
    for package, kind in ((hxwrappers, one), (vector, many)):
        for other, right in shelves.items():
            if other is not kind:
                with pytest.raises(InvalidArgumentError, match=rf"put {right}\.$"):
                    wrapper(package, name)(other())
        with pytest.raises(InvalidArgumentError, match=r"not 'CartPole-v1'.*gymnasium\.make"):
            wrapper(package, name)("CartPole-v1")


@pytest.mark.parametrize("name", WITH_FORMS)
def test_those_for_stable_baselines3(name):
    shelf = pytest.importorskip("hxwrappers.sb3")
    for other, right in ((one, f"hxwrappers.{name}"), (many, "from_vector_env")):
        with pytest.raises(InvalidArgumentError, match=right):
            wrapper(shelf, f"Vec{name}")(other())


@pytest.mark.parametrize(
    "wrap",
    [wrapper(hxwrappers, "DemoResetCurriculum"), DemoRecorder, FrameInInfo, SkipReplayedSteps],
)
def test_those_for_single_environments_alone(wrap):
    for other in (many, sb3):
        with pytest.raises(InvalidArgumentError, match="around each of the environments"):
            wrap(other())


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
