"""What is no vector environment of Stable-Baselines3 is refused with a way out."""

import gymnasium as gym
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import (
    VecCNDBonus,
    VecRNDBonus,
    VecStickyActions,
    VecYouTubeImitationReward,
    from_vector_env,
)
from tests.envs_for_tests import Corridor

WRAPPERS = pytest.mark.parametrize(
    "wrapper",
    [
        VecRNDBonus,
        VecCNDBonus,
        VecStickyActions,
        lambda venv: VecYouTubeImitationReward(venv, "clip", "embedder.safetensors"),
    ],
)


@WRAPPERS
def test_one_environment_is_refused(wrapper):
    with pytest.raises(InvalidArgumentError, match=r"Corridor.*make_vec_env"):
        wrapper(Corridor())


@WRAPPERS
def test_a_vector_of_gymnasium_is_refused(wrapper):
    envs = gym.vector.SyncVectorEnv([Corridor] * 2)
    with pytest.raises(InvalidArgumentError, match=r"SyncVectorEnv.*from_vector_env"):
        wrapper(envs)


@WRAPPERS
def test_anything_else_is_refused(wrapper):
    with pytest.raises(InvalidArgumentError, match="CartPole-v1"):
        wrapper("CartPole-v1")


@pytest.mark.parametrize("env", [Corridor(), DummyVecEnv([Corridor]), None])
def test_the_adapter_takes_vectors_of_gymnasium_alone(env):
    with pytest.raises(InvalidArgumentError, match=r"gymnasium\.vector"):
        from_vector_env(env)
