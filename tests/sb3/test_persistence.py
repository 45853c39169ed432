"""Saving and loading as with Stable-Baselines3's own models, with the bonus or without."""

import io

import numpy as np
import pytest
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3 import DualValuePPO, VecCNDBonus, VecRNDBonus, evaluation_env
from hxwrappers.sb3.model_file import is_trainer_file, load_model_policy
from tests.envs_for_tests import Corridor

QUICK = {"features": 8, "hidden": 8, "warmup_steps": 4, "update_every": 16, "device": "cpu"}
SHORT = {"n_steps": 16, "batch_size": 16, "device": "cpu"}


def corridors(**settings):
    return VecRNDBonus(DummyVecEnv([Corridor] * 2), **{"seed": 0, **QUICK, **settings})


def parameters(model):
    return np.concatenate([p.detach().numpy().ravel() for p in model.policy.parameters()])


def test_a_model_plays_without_its_bonus(tmp_path):
    model = DualValuePPO("MlpPolicy", corridors(), **SHORT).learn(32)
    model.save(tmp_path / "model")
    observations = np.ones((2, 2), np.float32)
    wanted = model.predict(observations, deterministic=True)[0]
    plain = DummyVecEnv([Corridor])
    for env in (None, plain, Corridor()):
        loaded = DualValuePPO.load(tmp_path / "model", env, device="cpu")
        assert loaded.num_timesteps == 32
        np.testing.assert_array_equal(parameters(loaded), parameters(model))
        played = loaded.predict(observations, deterministic=True)[0]
        np.testing.assert_array_equal(played, wanted)
    assert loaded.get_env() is not None


def test_an_environment_that_comes_later_gets_the_bonus(tmp_path):
    model = DualValuePPO("MlpPolicy", corridors(), **SHORT).learn(96)
    model.save(tmp_path / "model")
    loaded = DualValuePPO.load(tmp_path / "model")
    assert loaded.get_env() is None
    loaded.save(tmp_path / "again")  # with the bonus, though there is no environment
    later = DualValuePPO.load(tmp_path / "again")
    later.set_env(corridors(seed=9))
    assert later.env.model.updates == model.env.model.updates > 0
    later.learn(96, reset_num_timesteps=False)
    with pytest.raises(CheckpointError, match="wrappers"):
        loaded.set_env(VecCNDBonus(DummyVecEnv([Corridor] * 2), **QUICK))


def test_the_idioms_of_stable_baselines3(tmp_path, capsys):
    model = DualValuePPO("MlpPolicy", corridors(), **SHORT).learn(32)
    stream = io.BytesIO()
    model.save(stream, exclude=["rollout_buffer"], include=["num_timesteps"])
    stream.seek(0)
    replaced = {"learning_rate": 0.5, "lr_schedule": None, "clip_range": 0.3}
    loaded = DualValuePPO.load(
        stream, custom_objects=replaced, print_system_info=True, force_reset=True, gamma=0.5
    )
    assert "Stable-Baselines3" in capsys.readouterr().out
    assert (loaded.learning_rate, loaded.clip_range(1.0), loaded.gamma) == (0.5, 0.3, 0.5)
    for asked in ({"exclude": ["policy"]}, {"include": ["replay_buffer"]}):
        with pytest.raises(InvalidArgumentError, match="neither less nor more"):
            model.save(tmp_path / "model", **asked)
    model.save(tmp_path / "m-0.5.zip")
    other = DualValuePPO("MlpPolicy", corridors(seed=5), **SHORT)
    other.set_parameters(tmp_path / "m-0.5")
    np.testing.assert_array_equal(parameters(other), parameters(model))
    other.set_parameters(model.get_parameters())


def test_the_best_model_of_an_evaluation(tmp_path):
    envs = corridors()
    callback = EvalCallback(
        evaluation_env(envs, DummyVecEnv([Corridor])),
        eval_freq=8,
        n_eval_episodes=1,
        best_model_save_path=str(tmp_path),
        log_path=str(tmp_path),
        verbose=0,
    )
    DualValuePPO("MlpPolicy", envs, **SHORT).learn(64, callback=callback)
    best = DualValuePPO.load(tmp_path / "best_model.zip")
    assert best.predict(np.ones(2, np.float32))[0] in range(3)


def test_normalised_observations_are_asked_for(tmp_path):
    def normalized():
        return VecNormalize(DummyVecEnv([Corridor] * 2), norm_reward=False)

    model = DualValuePPO("MlpPolicy", VecRNDBonus(normalized(), **QUICK), **SHORT).learn(32)
    model.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="VecNormalize"):
        DualValuePPO.load(tmp_path / "model", DummyVecEnv([Corridor]))
    playing = DualValuePPO.load(tmp_path / "model", normalized())
    moments = model.get_vec_normalize_env().obs_rms
    np.testing.assert_allclose(playing.get_vec_normalize_env().obs_rms.mean, moments.mean)


def test_the_policy_alone(tmp_path):
    model = DualValuePPO("MlpPolicy", corridors(), **SHORT).learn(32)
    model.save(tmp_path / "model.zip")
    assert is_trainer_file(tmp_path / "model.zip")
    recipe = {"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {}}
    playable = load_model_policy(tmp_path / "model.zip", recipe, device="cpu")
    seen = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        playable.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0]
    )
