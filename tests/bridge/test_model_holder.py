"""Warm-ups by a random agent, on every shelf."""

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from hxwrappers import RNDBonus, vector
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import VecRNDBonus
from tests.envs_for_tests import Corridor

QUICK = {"features": 8, "hidden": 8, "warmup_steps": 2, "update_every": 4, "batch_size": 8}
SHELVES = {
    "single": lambda **settings: RNDBonus(Corridor(), **settings),
    **{
        mode.value: lambda mode=mode, **settings: vector.RNDBonus(
            SyncVectorEnv([Corridor] * 2, autoreset_mode=mode), **settings
        )
        for mode in AutoresetMode
    },
    "sb3": lambda **settings: VecRNDBonus(DummyVecEnv([Corridor] * 2), **settings),
}


@pytest.mark.parametrize("shelf", SHELVES)
def test_a_random_agent_warms_up_on_every_shelf(shelf):
    def warmed(seed):
        bonused = SHELVES[shelf](**{**QUICK, "warmup_steps": 150, "seed": 0})
        assert bonused.warm_up(seed=seed) in (150, *range(151, 300))  # dummy steps count for none
        assert bonused.warm_up() == 0
        return bonused

    first, again, other = warmed(3), warmed(3), warmed(4)
    moments = [each.model.state_dict()["moments"]["mean"] for each in (first, again, other)]
    assert torch.equal(moments[0], moments[1])
    assert not torch.equal(moments[0], moments[2])
    number = getattr(first, "num_envs", None)
    first.reset()
    bonus = first.step(0 if number is None else np.zeros(number, int))[1]
    assert np.all(np.asarray(bonus) > 0)


@pytest.mark.parametrize("shelf", SHELVES)
def test_a_frozen_bonus_cannot_warm_up(shelf):
    bonused = SHELVES[shelf](**QUICK)
    bonused.training = False
    with pytest.raises(InvalidArgumentError, match="frozen"):
        bonused.warm_up()
