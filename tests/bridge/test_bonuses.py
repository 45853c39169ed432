"""Coefficients stay in range; an environment's own entries are not taken for a bonus's."""

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers import RNDBonus, YouTubeImitationReward, vector
from hxwrappers.demos import DemoRecording
from hxwrappers.errors import InvalidArgumentError
from tests.video.toys import PlaceEmbedder, demonstration, make_walk

QUICK = {"features": 4, "warmup_steps": 1, "update_every": 2}


def bonus():
    return RNDBonus(gym.make("CartPole-v1"), **QUICK)


def imitation():
    return YouTubeImitationReward(make_walk(), demonstration(), PlaceEmbedder())


def vector_bonus():
    return vector.RNDBonus(gym.make_vec("CartPole-v1", 2), **QUICK)


def sb3_bonus():
    sb3 = pytest.importorskip("hxwrappers.sb3")
    make = pytest.importorskip("stable_baselines3.common.env_util").make_vec_env
    return sb3.VecRNDBonus(make("CartPole-v1", 2), **QUICK)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (bonus, "coefficient"),
        (vector_bonus, "coefficient"),
        (sb3_bonus, "coefficient"),
        (imitation, "coefficient"),
        (imitation, "extrinsic_coefficient"),
    ],
)
def test_a_coefficient_can_be_changed_within_its_range(make, name):
    env = make()
    setattr(env, name, 0.25)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(InvalidArgumentError, match=rf"^{name} is {wrong}; it must be"):
            setattr(env, name, wrong)
    assert getattr(env, name) == 0.25


class Telling(gym.Wrapper):
    """An environment whose infos have entries of the names that bonuses use."""

    def __init__(self, env, entries):
        super().__init__(env)
        self.entries = entries

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, **self.entries}


OWN = (
    {"extrinsic_reward": 77.0},
    {"extrinsic_reward": 77.0, "intrinsic_reward": 5.0},
    {"intrinsic_reward": 5.0},
)


def pole(entries):
    return Telling(gym.make("CartPole-v1"), entries)


@pytest.mark.parametrize("entries", OWN)
def test_entries_of_the_environment_are_no_bonus(entries):
    env = RNDBonus(pole(entries), **QUICK, seed=0)
    twin = RNDBonus(gym.make("CartPole-v1"), **QUICK, seed=0)
    envs = vector.RNDBonus(gym.vector.SyncVectorEnv([lambda: pole(entries)] * 2), **QUICK, seed=0)
    env.reset(seed=0), twin.reset(seed=0), envs.reset(seed=0)
    for _ in range(5):
        _, reward, _, _, info = env.step(0)
        _, expected, _, _, theirs = twin.step(0)
        assert reward == expected
        assert {key: info[key] for key in theirs} == theirs
        assert info["extrinsic_reward"] == 1.0
        infos = envs.step(np.zeros(2, int))[4]
        assert infos["extrinsic_reward"].tolist() == [1.0, 1.0]
    recording = DemoRecording(pole(entries))
    recording.reset(seed=0)
    recording.step(0)
    assert recording.score == 1.0


def test_two_bonuses_still_add_up():
    env = RNDBonus(RNDBonus(pole(OWN[1]), **QUICK), **QUICK)
    env.reset(seed=0)
    for _ in range(5):
        _, reward, _, _, info = env.step(0)
    assert info["extrinsic_reward"] == 1.0
    assert reward == pytest.approx(1.0 + info["reward_bonus"])
    assert info["reward_bonus"] > 0
