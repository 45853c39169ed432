"""Games of a few places, which search can or cannot find its way through."""

import random

import gymnasium as gym
from gymnasium.spaces import Discrete


class ShortRow(gym.Env):
    """Ten places in a row; the last one pays and ends it."""

    def __init__(self):
        self.observation_space, self.action_space = Discrete(30), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self.place, {}

    def stride(self):
        return 1

    def step(self, action):
        self.place = max(0, self.place + (self.stride() if action else -1))
        over = self.place >= 9
        return min(self.place, 29), float(over), over, False, {}


class Lucky(ShortRow):
    """Strides that the seed does not fix."""

    def stride(self):
        return random.randrange(3)


class Forgetful(ShortRow):
    """Its state says nothing of the place."""

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


class Uncopyable(ShortRow):
    """Has an attribute that cannot be copied."""

    def __init__(self):
        super().__init__()
        self.door = (place for place in range(3))


for game in (ShortRow, Lucky, Forgetful, Uncopyable):
    gym.register(f"shorts/{game.__name__}-v0", game, max_episode_steps=200)
