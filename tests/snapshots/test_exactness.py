"""Trials name what makes an environment impossible to repeat or to restore."""

import random
import threading

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Discrete

from hxwrappers.snapshots import (
    OwnStateSnapshotter,
    find_snapshotter,
    first_inexact_step,
    first_unrepeated_step,
    why_not_copied,
)


class Walk(gym.Env):
    """A walk whose observation is the place; what may go wrong is added below."""

    observation_space, action_space = Discrete(1000), Discrete(2)

    def __init__(self):
        self.place = self.fuel = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.fuel = 0, 40
        return self.place, {}

    def luck(self):
        return int(self.np_random.integers(2))

    def step(self, action):
        self.place += int(action) + self.luck()
        self.fuel -= 1
        return self.place, 0.0, self.fuel == 0, False, {}


class Honest(Walk):
    pass


class WithRandom(Walk):
    def luck(self):
        return random.randrange(2)


class WithNumpy(Walk):
    def luck(self):
        return int(np.random.randint(2))  # noqa: NPY002


class WithOwnGenerator(Walk):
    def __init__(self):
        super().__init__()
        self.own = np.random.default_rng()

    def luck(self):
        return int(self.own.integers(2))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Honest, None),
        (WithRandom, "it draws from random. Let"),
        (WithNumpy, "it draws from numpy.random. Let"),
        (WithOwnGenerator, "a generator that the seed does not reach"),
    ],
)
def test_chance_is_found_and_named(kind, message):
    found = first_unrepeated_step(kind())
    if message is None:
        assert found is None
    else:
        assert "there is chance in it that reset(seed=0) does not fix: the observation" in found
        assert message in found


class Whole(Walk):
    fields = ("place", "fuel", "_np_random")

    def get_state(self):
        return {name: getattr(self, name) for name in self.fields if name != "_np_random"} | (
            {"luck": self.np_random.bit_generator.state} if "_np_random" in self.fields else {}
        )

    def set_state(self, state):
        for name in self.fields:
            if name == "_np_random":
                self.np_random.bit_generator.state = state["luck"]
            else:
                setattr(self, name, state[name])


class DropsFuel(Whole):
    fields = ("place", "_np_random")


class DropsLuck(Whole):
    fields = ("place", "fuel")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Whole, None),
        (DropsFuel, "; not restored: DropsFuel.fuel is "),
        (DropsLuck, "the observation differs"),
    ],
)
def test_a_field_that_set_state_drops_is_noticed_and_named(kind, message):
    snapshotter = find_snapshotter(kind())
    assert isinstance(snapshotter, OwnStateSnapshotter)
    found = first_inexact_step(snapshotter, steps=60, trials=4)
    if message is None:
        assert found is None
    else:
        assert message in found


@pytest.mark.parametrize(
    ("value", "kind"),
    [((step for step in range(2)), "generator"), (threading.Lock(), "lock")],
    ids=["generator", "lock"],
)
def test_an_attribute_that_cannot_be_copied_is_named(value, kind):
    env = gym.wrappers.TimeLimit(Walk(), 10)
    env.reset(seed=0)
    assert why_not_copied(env) is None
    env.unwrapped.odd = value
    assert why_not_copied(env) == f"Walk.odd ({kind}) cannot be copied"


def test_short_episodes_are_tried_out_too():
    class Short(DropsLuck):
        def step(self, action):
            observation, reward, _, truncated, info = super().step(action)
            return observation, reward, self.fuel < 34, truncated, info

    assert "differs" in first_inexact_step(find_snapshotter(Short()), steps=100, trials=8)
