"""The bonuses on Stable-Baselines3's shelf equal those of the vector shelf."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from sb3_contrib import ARS
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack

from hxwrappers import vector
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import ExplorationLog, VecCNDBonus, VecRNDBonus
from tests.envs_for_tests import Corridor, Pictures

SETTINGS = {
    "features": 8,
    "hidden": 8,
    "warmup_steps": 3,
    "update_every": 4,
    "batch_size": 8,
    "seed": 0,
}


def test_the_seed_of_make_vec_env_is_the_bonus_s_too():
    settings = {**SETTINGS, "seed": None}
    bonuses = []
    for _ in range(2):
        venv = VecRNDBonus(make_vec_env("CartPole-v1", 2, seed=0), **settings)
        venv.reset()
        steps = [venv.step(np.zeros(2, int))[3] for _ in range(6)]
        bonuses.append([info["intrinsic_reward"] for infos in steps for info in infos])
    assert bonuses[0] == bonuses[1]
    assert np.sum(bonuses[0]) > 0


@pytest.mark.parametrize("env_class", [Corridor, Pictures])
@pytest.mark.parametrize(
    ("ours", "twin", "settings"),
    [
        (VecRNDBonus, vector.RNDBonus, {}),
        (VecCNDBonus, vector.CNDBonus, {"pairs": 4}),
        (VecCNDBonus, vector.CNDBonus, {"pairs": 4, "contrastive_loss": "vicreg"}),
        (VecCNDBonus, vector.CNDBonus, {"pairs": 4, "scored": "current"}),
    ],
)
def test_it_equals_the_vector_twin(ours, twin, settings, env_class):
    venv = ours(DummyVecEnv([env_class] * 3), **SETTINGS, **settings)
    envs = twin(
        SyncVectorEnv([env_class] * 3, autoreset_mode=AutoresetMode.SAME_STEP),
        **SETTINGS,
        **settings,
    )
    venv.seed(7)
    np.testing.assert_array_equal(venv.reset(), envs.reset(seed=7)[0])
    actions = np.random.default_rng(0)
    for _ in range(30):
        action = actions.integers(0, 2, 3)
        observations, rewards, dones, infos = venv.step(action)
        expected = envs.step(action)
        np.testing.assert_array_equal(observations, expected[0])
        np.testing.assert_allclose(rewards, expected[1], rtol=1e-6)
        np.testing.assert_array_equal(dones, np.logical_or(expected[2], expected[3]))
        for key in ("extrinsic_reward", "intrinsic_reward", "reward_bonus"):
            np.testing.assert_allclose([info[key] for info in infos], expected[4][key])
    assert venv.model.updates == envs.model.updates > 3


@pytest.mark.slow
def test_stock_ppo_in_worker_processes():
    venv = make_vec_env("CartPole-v1", n_envs=2, vec_env_cls=SubprocVecEnv)
    venv = VecRNDBonus(venv, **SETTINGS)
    try:
        PPO("MlpPolicy", venv, n_steps=16, batch_size=16).learn(64, callback=ExplorationLog())
        assert venv.model.updates > 0
    finally:
        venv.close()


@pytest.mark.parametrize("wrapper", [VecRNDBonus, VecCNDBonus])
def test_an_algorithm_that_steps_without_gradients(wrapper):
    venv = wrapper(DummyVecEnv([Corridor] * 2), **SETTINGS)
    ARS("LinearPolicy", venv, n_delta=2, device="cpu").learn(30)
    assert venv.model.updates > 0


def test_stacked_frames_are_seen_one_at_a_time():
    venv = VecRNDBonus(VecFrameStack(DummyVecEnv([Pictures]), 4), **SETTINGS)
    assert venv.observation_space.shape == (40, 40, 4)
    assert venv.model.layout.frame_shape == (1, 40, 40)


def test_frozen_bonus_learns_nothing():
    venv = VecCNDBonus(DummyVecEnv([Corridor] * 2), **SETTINGS)
    venv.training = False
    venv.reset()
    for _ in range(20):
        infos = venv.step(np.zeros(2, int))[3]
    assert venv.model.updates == 0
    assert infos[0]["intrinsic_reward"] > 0


@pytest.mark.parametrize("wrapper", [VecRNDBonus, VecCNDBonus])
def test_evaluation_with_the_model_that_is_trained(wrapper):
    updates = []
    for evaluated in (False, True):
        venv = wrapper(DummyVecEnv([Corridor] * 2), **SETTINGS)
        watching = wrapper(DummyVecEnv([Corridor]), model=venv.model)
        watching.training = False
        callback = EvalCallback(watching, eval_freq=8, n_eval_episodes=2, verbose=0, warn=False)
        model = PPO("MlpPolicy", venv, n_steps=16, batch_size=16, seed=0, device="cpu")
        model.learn(64, callback=callback if evaluated else None)
        updates.append(venv.model.updates)
    assert updates[0] == updates[1] > 3


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="coefficient"):
        VecRNDBonus(DummyVecEnv([Corridor]), coefficient=-1.0)
