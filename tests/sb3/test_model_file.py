"""Zips of Stable-Baselines3, read without their pickles."""

import io
import json
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from hxwrappers.errors import CheckpointError
from hxwrappers.sb3.model_file import is_sb3_zip, load_model_policy
from tests.envs_for_tests import Pictures
from tests.sb3.samples import CARTPOLE, PAINTED, cartpole
from tests.traps import Trap, trap

gym.register("HxPictures-v0", entry_point="tests.envs_for_tests:Pictures")
STATES = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.zip"
    cartpole().save(path)
    return path


def rewrite(file, **members):
    with zipfile.ZipFile(file) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**kept, **members}.items():
            archive.writestr(name, data)


def test_acts_as_the_model_does(file):
    assert is_sb3_zip(file)
    playable = load_model_policy(file, CARTPOLE, device="cpu", vecnormalize="none")
    expected = cartpole().predict(STATES, deterministic=True)[0]
    np.testing.assert_array_equal(playable.predict(STATES, deterministic=True)[0], expected)
    assert playable.environment == CARTPOLE


def test_other_files_are_no_such_zips(tmp_path):
    torch.save({"a": 1}, tmp_path / "a.zip")
    (tmp_path / "b.zip").write_text("text")
    assert not is_sb3_zip(tmp_path / "a.zip")
    assert not is_sb3_zip(tmp_path / "b.zip")
    assert not is_sb3_zip(tmp_path / "missing.zip")
    with pytest.raises(CheckpointError, match="no weights"):
        load_model_policy(tmp_path / "b.zip", CARTPOLE)


def test_images_and_arguments(tmp_path):
    chosen = {"features_extractor_kwargs": {"features_dim": 32}}
    model = PPO("CnnPolicy", make_vec_env(Pictures), policy_kwargs=chosen, device="cpu")
    model.save(tmp_path / "model.zip")
    playable = load_model_policy(
        tmp_path / "model.zip",
        {"maker": "gymnasium", "id": "HxPictures-v0"},
        policy="CnnPolicy",
        policy_kwargs=chosen,
        device="cpu",
    )
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 1), np.uint8)
    expected = model.predict(frames, deterministic=True)[0]
    np.testing.assert_array_equal(playable.predict(frames, deterministic=True)[0], expected)


def test_what_does_not_fit(file):
    with pytest.raises(CheckpointError, match="size mismatch"):
        load_model_policy(file, PAINTED)
    with pytest.raises(CheckpointError, match="too few"):
        load_model_policy(file, CARTPOLE, algorithm="RecurrentPPO", policy="MlpLstmPolicy")
    with pytest.raises(CheckpointError, match="no policy 'MlpLstmPolicy'; it has MlpPolicy"):
        load_model_policy(file, CARTPOLE, policy="MlpLstmPolicy")
    with pytest.raises(CheckpointError, match="no algorithm 'DQN'"):
        load_model_policy(file, CARTPOLE, algorithm="DQN")
    with pytest.raises(CheckpointError, match="size mismatch"):
        load_model_policy(file, CARTPOLE, policy_kwargs={"net_arch": [8]})


@pytest.mark.parametrize(
    "weights", [{}, {"a": None}, {3: torch.ones(2)}, {"action_net.bias": "text"}, [torch.ones(2)]]
)
def test_weights_that_are_none(weights, file):
    stream = io.BytesIO()
    torch.save(weights, stream)
    rewrite(file, **{"policy.pth": stream.getvalue()})
    with pytest.raises(CheckpointError):
        load_model_policy(file, CARTPOLE, device="cpu")


def test_the_pickles_beside_the_weights_are_not_read(file, tmp_path):
    sprung = tmp_path / "sprung"
    serialized = {":type:": "x", ":serialized:": trap(sprung).hex()}
    rewrite(file, data=json.dumps({"policy_class": serialized}), **{"pytorch_variables.pth": b"x"})
    load_model_policy(file, CARTPOLE, device="cpu", vecnormalize="none")
    assert not sprung.exists()


def test_pickles_in_place_of_the_weights_are_refused(file, tmp_path):
    sprung = tmp_path / "sprung"
    rewrite(file, **{"policy.pth": trap(sprung)})
    with pytest.raises(CheckpointError, match="Nothing from it was executed"):
        load_model_policy(file, CARTPOLE)
    stream = io.BytesIO()
    torch.save({"action_net.bias": Trap(sprung)}, stream)
    rewrite(file, **{"policy.pth": stream.getvalue()})
    with pytest.raises(CheckpointError, match="Nothing from it was executed"):
        load_model_policy(file, CARTPOLE)
    assert not sprung.exists()
    stream = io.BytesIO()
    torch.save([1], stream)
    rewrite(file, **{"policy.pth": stream.getvalue()})
    with pytest.raises(CheckpointError, match="a list"):
        load_model_policy(file, CARTPOLE)
