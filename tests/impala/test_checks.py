"""NaN and infinity are refused by name, before a net computes with them."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.layout import EnvSpec
from hxwrappers.impala.sampler import Sampler
from hxwrappers.impala.unrolls import UnrollShape
from tests.impala.test_sampler import CountingPolicy

BAD_STEP = 4


class Faulty(gym.Env):
    """Gives one bad number in its fourth step, or at its first reset (step 0); ends in its sixth.

    Its first episode is cut by its fourth step where `cut`.
    """

    def __init__(self, key, value, at=BAD_STEP, cut=False):
        self.key, self.value, self.at, self.cut = key, value, at, cut
        self.observation_space = spaces.Dict(
            observation=spaces.Box(-1, 1, (3,), np.float32), speed=spaces.Box(-1, 1, ())
        )
        self.action_space = spaces.Discrete(3)

    def _observation(self):
        observation = {
            "observation": np.zeros(3, np.float32),
            "speed": np.float32(0),
        }
        if self.count == self.at and self.key == "observation":
            observation["observation"][2] = self.value
        elif self.count == self.at and self.key == "speed":
            observation["speed"] = np.float32(self.value)
        return observation

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self._observation(), {}

    def step(self, action):
        self.count += 1
        reward = self.value if self.count == self.at and self.key == "reward" else 0.0
        cut = self.cut and self.count == self.at
        return self._observation(), reward, self.count == 6, cut, {}


def play(mode=AutoresetMode.NEXT_STEP, **options):
    fine = partial(Faulty, "nothing", 0.0)
    env = SyncVectorEnv([fine, partial(Faulty, **options)], autoreset_mode=mode)
    spec = EnvSpec.of(env)
    assert spec.actions == NumberedActions(3)
    unroll = UnrollShape(spec.layout, 20, 2, 1, spec.actions).allocate()
    Sampler(env, CountingPolicy(), 0).fill(unroll)
    return unroll


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("reward", np.nan, InvalidArgumentError, "gave the reward nan"),
        ("reward", -np.inf, InvalidArgumentError, "gave the reward -inf"),
        (
            "observation",
            np.nan,
            InvalidArgumentError,
            r"nan under the key 'observation' at \[2\]",
        ),
        ("speed", np.inf, InvalidArgumentError, "inf under the key 'speed'"),
    ],
)
def test_the_environment_the_step_and_the_key_are_named(mode, key, value, error, message):
    with pytest.raises(error, match=f"number 1 of its actor, in step 4 of its episode.*{message}"):
        play(mode, key=key, value=value)


def test_the_first_observation():
    with pytest.raises(InvalidArgumentError, match=r"step 0 of its episode.*'speed'"):
        play(key="speed", value=np.nan, at=0)


def test_the_observation_that_an_episode_was_cut_at():
    with pytest.raises(InvalidArgumentError, match=r"number 1 of .*'speed'"):
        play(AutoresetMode.SAME_STEP, key="speed", value=np.nan, cut=True)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_steps_are_counted_anew_in_each_episode(mode):
    assert play(mode, key="reward", value=1.0).rewards.sum() >= 3
