import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecEnvWrapper

from hxwrappers.errors import InvalidArgumentError, WrapperContractError
from hxwrappers.sb3.testing import check_sb3_twin
from tests.testing import broken
from tests.toys import make_echo


class VecStepBonus(VecEnvWrapper):
    bonus = 1.0

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        observations, rewards, dones, infos = self.venv.step_wait()
        keys = ("intrinsic_reward", "reward_bonus")
        infos = [
            {**info, "extrinsic_reward": reward, **dict.fromkeys(keys, 1.0)}
            for info, reward in zip(infos, rewards, strict=True)
        ]
        return observations, rewards + np.float32(self.bonus), dones, infos


class WrongBonus(VecStepBonus):
    bonus = 0.9


def test_a_true_twin_passes_and_a_false_one_is_found():
    check_sb3_twin(broken.StepBonus, VecStepBonus, make_echo)
    with pytest.raises(WrapperContractError, match="'sb3_twin' is broken: rewards of step 0"):
        check_sb3_twin(broken.StepBonus, WrongBonus, make_echo)


def test_refuses_to_pass_without_an_episode_end():
    with pytest.raises(InvalidArgumentError, match="No episode ended"):
        check_sb3_twin(broken.StepBonus, VecStepBonus, lambda: make_echo(1000))
