"""A wrapper around another kind of environment says which wrapper belongs there."""

from functools import partial

import gymnasium as gym
import pytest

import hxwrappers
from hxwrappers import vector
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.wrappers import DemoRecorder, FrameInInfo, SkipReplayedSteps

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
