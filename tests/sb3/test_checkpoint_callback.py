"""Checkpoints with the bonus: a resumed one is as large as it was."""

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from hxwrappers.errors import CheckpointError
from hxwrappers.sb3 import (
    BonusCheckpointCallback,
    BonusReplayBuffer,
    VecCNDBonus,
    VecRNDBonus,
    load_bonus,
)
from tests.envs_for_tests import Corridor

QUICK = {"features": 8, "hidden": 8, "warmup_steps": 4, "update_every": 8, "device": "cpu"}


def normalize(venv):
    return VecNormalize(venv, norm_reward=False)


ORDERS = {
    "RND": lambda venv: VecRNDBonus(venv, **QUICK),
    "normalised RND": lambda venv: VecRNDBonus(normalize(venv), **QUICK),
    "RND, normalised": lambda venv: normalize(VecRNDBonus(venv, **QUICK)),
    "RND and CND": lambda venv: VecCNDBonus(VecRNDBonus(venv, **QUICK), pairs=4, **QUICK),
}


def bonuses(envs):
    """The bonuses of some observations, by each of the wrappers."""
    found, seen = [], np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    while hasattr(envs, "venv"):
        found += [envs.model.bonus(seen)] if isinstance(envs, VecRNDBonus | VecCNDBonus) else []
        envs = envs.venv
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_a_resumed_bonus_is_as_large_as_it_was(order, tmp_path):
    build = ORDERS[order]
    envs = build(DummyVecEnv([Corridor] * 2))
    model = PPO("MlpPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, device="cpu")
    model.learn(64, callback=BonusCheckpointCallback(32, str(tmp_path), "mine"))
    again = build(DummyVecEnv([Corridor] * 2))
    before = bonuses(again)
    load_bonus(tmp_path / "mine_bonus_64_steps.safetensors", again)
    np.testing.assert_array_equal(bonuses(again), bonuses(envs))
    assert not np.allclose(before, bonuses(envs))
    if model.get_vec_normalize_env() is not None:
        loaded = PPO.load(tmp_path / "mine_64_steps.zip", again, device="cpu")
        moments = [m.get_vec_normalize_env().obs_rms.mean for m in (model, loaded)]
        np.testing.assert_array_equal(*moments)


def test_a_replay_buffer_goes_on_as_well(tmp_path):
    build = ORDERS["RND"]
    settings = {"buffer_size": 200, "learning_starts": 8, "batch_size": 8, "device": "cpu"}
    envs = build(DummyVecEnv([Corridor] * 2))
    model = DQN("MlpPolicy", envs, replay_buffer_class=BonusReplayBuffer, **settings)
    model.replay_buffer.set_env(envs)
    callback = BonusCheckpointCallback(32, str(tmp_path), save_replay_buffer=True)
    model.learn(64, callback=callback)
    again = build(DummyVecEnv([Corridor] * 2))
    load_bonus(tmp_path / "rl_model_bonus_64_steps.safetensors", again)
    loaded = DQN.load(tmp_path / "rl_model_64_steps.zip", again, device="cpu")
    loaded.load_replay_buffer(tmp_path / "rl_model_replay_buffer_64_steps.pkl")
    loaded.replay_buffer.set_env(loaded.get_env())
    rewards = []
    for each in (model, loaded):
        np.random.seed(0)  # noqa: NPY002
        rewards.append(each.replay_buffer.sample(16).rewards.numpy())
    np.testing.assert_array_equal(*rewards)
    loaded.learn(16, reset_num_timesteps=False)


def test_without_the_bonus_and_into_another_stack(tmp_path):
    envs = ORDERS["RND"](DummyVecEnv([Corridor] * 2))
    model = PPO("MlpPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, device="cpu")
    model.learn(32, callback=BonusCheckpointCallback(16, str(tmp_path), save_bonus=False))
    assert [path.suffix for path in tmp_path.iterdir()] == [".zip"]
    model.learn(32, callback=BonusCheckpointCallback(16, str(tmp_path)))
    with pytest.raises(CheckpointError, match="wrappers"):
        load_bonus(tmp_path / "rl_model_bonus_32_steps.safetensors", DummyVecEnv([Corridor]))
