"""Actions of demonstrations: their dtypes."""

import gymnasium as gym
import numpy as np

from hxwrappers.demos.metadata import smallest_actions


def test_actions_take_little_room():
    discrete = gym.spaces.Discrete(300)
    assert smallest_actions([1, 255], discrete).dtype == np.uint8
    assert smallest_actions([1, 256], discrete).dtype == np.int16
    assert smallest_actions([-1], gym.spaces.Discrete(3, start=-1)).dtype == np.int16
    assert smallest_actions([2**40], gym.spaces.Discrete(2**41)).dtype == np.int64
    box = gym.spaces.Box(0, 1, (2,), np.float32)
    assert smallest_actions([], box).shape == (0, 2)
    for dtype in (np.float32, np.float64):
        assert smallest_actions([np.array([0, 1], dtype)], box).dtype == dtype
