"""Policies in files without pickles."""

from functools import partial

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize
from torch import nn

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.sb3 import DemoRecurrentPPO, DualValuePPO
from hxwrappers.sb3.policies import CNDFeatures, CompactCNN
from hxwrappers.sb3.policy_file import load_policy, save_policy
from tests.envs_for_tests import Pictures
from tests.sb3.samples import CARTPOLE, cartpole
from tests.traps import trap

STATES = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
FRESH = np.ones(6, np.bool_)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.safetensors"
    save_policy(path, cartpole(), CARTPOLE)
    return path


def logits(policy, observations):
    return policy.get_distribution(policy.obs_to_tensor(observations)[0]).distribution.logits


def test_acts_as_the_model_does(file):
    playable = load_policy(file, "cpu")
    assert playable.algorithm == "PPO"
    assert playable.environment == CARTPOLE
    torch.testing.assert_close(
        logits(playable.policy, STATES), logits(cartpole().policy, STATES), atol=0, rtol=0
    )
    actions, state = playable.predict(STATES, None, FRESH, deterministic=True)
    np.testing.assert_array_equal(actions, cartpole().predict(STATES, deterministic=True)[0])
    assert state is None


def test_temperature_divides_the_logits(file):
    playable = load_policy(file, "cpu")
    plain = logits(playable.policy, STATES)
    playable.temperature = 0.5
    torch.testing.assert_close(logits(playable.policy, STATES), torch.log_softmax(2 * plain, 1))
    with pytest.raises(InvalidArgumentError, match="above 0"):
        playable.temperature = 0.0


def test_continuous_actions_have_no_temperature(tmp_path):
    save_policy(
        tmp_path / "p.safetensors",
        PPO("MlpPolicy", "Pendulum-v1", device="cpu", use_sde=True),
        {"maker": "gymnasium", "id": "Pendulum-v1"},
    )
    playable = load_policy(tmp_path / "p.safetensors", "cpu")
    playable.temperature = 1.0
    with pytest.raises(InvalidArgumentError, match="no logits"):
        playable.temperature = 0.5


@pytest.mark.parametrize("kind", [RecurrentPPO, DemoRecurrentPPO])
def test_recurrent_policies_remember(kind, tmp_path):
    model = kind(
        "MlpLstmPolicy",
        make_vec_env("CartPole-v1", n_envs=2),
        device="cpu",
        policy_kwargs={"lstm_hidden_size": 8, "activation_fn": nn.ReLU},
    )
    save_policy(tmp_path / "p.safetensors", model, CARTPOLE)
    playable = load_policy(tmp_path / "p.safetensors", "cpu")
    assert playable.algorithm == kind.__name__
    assert playable.policy.activation_fn is nn.ReLU
    _, first = playable.predict(STATES, None, FRESH)
    _, again = playable.predict(STATES, first, FRESH)
    _, after = playable.predict(STATES, first, ~FRESH)
    assert first[0].shape == (1, 6, 8)
    np.testing.assert_allclose(again[0], first[0])  # wiped where an episode starts
    assert not np.allclose(after[0], first[0])
    expected = model.policy.predict(STATES, first, ~FRESH, True)[0]
    np.testing.assert_array_equal(playable.predict(STATES, first, ~FRESH, True)[0], expected)


@pytest.mark.parametrize(
    ("make", "extractor"),
    [
        (
            lambda env: PPO(
                "CnnPolicy",
                env,
                device="cpu",
                policy_kwargs={
                    "features_extractor_class": CompactCNN,
                    "features_extractor_kwargs": {"features_dim": 16, "precision": "float32"},
                },
            ),
            CompactCNN,
        ),
        (lambda env: DualValuePPO("CNDPolicy", env, batch_size=64, device="cpu"), CNDFeatures),
    ],
)
def test_images(make, extractor, tmp_path):
    model = make(make_vec_env(Pictures, n_envs=2))
    save_policy(tmp_path / "p.safetensors", model, CARTPOLE)
    playable = load_policy(tmp_path / "p.safetensors", "cpu")
    assert type(playable.policy.features_extractor) is extractor
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 1), np.uint8)
    actions, _ = playable.predict(frames, None, FRESH[:3], True)  # channels last, as the env has
    np.testing.assert_array_equal(actions, model.predict(frames, deterministic=True)[0])


def test_the_published_policy_of_rnd(tmp_path):
    env = make_vec_env(partial(Pictures, 44), n_envs=2)
    model = DualValuePPO("RNDPolicy", env, batch_size=64, device="cpu")
    save_policy(tmp_path / "p.safetensors", model, CARTPOLE)
    playable = load_policy(tmp_path / "p.safetensors", "cpu")
    frames = np.random.default_rng(0).integers(0, 256, (3, 44, 44, 1), np.uint8)
    actions, _ = playable.predict(frames, None, FRESH[:3], True)
    np.testing.assert_array_equal(actions, model.predict(frames, deterministic=True)[0])


class Own(ActorCriticPolicy):
    """Somebody's own policy."""


def test_models_that_are_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    with pytest.raises(CheckpointError, match="ActorCriticPolicy of A2C"):
        save_policy(path, A2C("MlpPolicy", "CartPole-v1", device="cpu"), CARTPOLE)
    with pytest.raises(CheckpointError, match="Own of PPO"):
        save_policy(path, PPO(Own, "CartPole-v1", device="cpu"), CARTPOLE)
    odd = PPO("MlpPolicy", "CartPole-v1", policy_kwargs={"activation_fn": nn.Mish}, device="cpu")
    with pytest.raises(CheckpointError, match=r"activation_fn.*Mish.*known: Tanh"):
        save_policy(path, odd, CARTPOLE)
    stacked = VecFrameStack(VecNormalize(make_vec_env("CartPole-v1")), 2)
    with pytest.raises(CheckpointError, match="Put the VecNormalize outermost"):
        save_policy(path, PPO("MlpPolicy", stacked, device="cpu"), CARTPOLE)
    with pytest.raises(CheckpointError, match="tensors, numbers"):
        save_policy(path, cartpole(), {"maker": print})
    assert not path.exists()


def changed(file, **changes):
    save_checkpoint(file, "Policy", {**load_checkpoint(file, "Policy"), **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"algorithm": "os.system"}, "not a complete policy file"),
        ({"policy": "builtins.eval"}, "not a complete policy file"),
        ({"weights": None}, "not a complete policy file"),
        ({"weights": {}}, "Missing key"),
        ({"weights": {"action_net.bias": "x"}}, "do not fit"),
        ({"policy": "RecurrentActorCriticPolicy"}, "too few"),
        ({"observation_space": {"space": "Discrete", "n": 5, "start": 0}}, "size mismatch"),
        ({"action_space": {"space": "Function"}}, "no space"),
        ({"arguments": {"features_extractor_class": "os.system"}}, "no features_extractor_class"),
        ({"arguments": {"activation_fn": ["Tanh"]}}, "do not fit"),
        ({"arguments": {"net_arch": [1 << 40]}}, "do not fit"),
        ({"arguments": {"net_arch": [1 << 14] * 30}}, "too few"),
        pytest.param(
            {"arguments": {"net_arch": [1] * (1 << 15)}}, "too few", marks=pytest.mark.slow
        ),
        ({"arguments": {"net_arch": [32]}}, "size mismatch"),
        ({"arguments": {"optimizer_class": "SGD"}}, "do not fit"),
        ({"arguments": {"lr_schedule": 1}}, "do not fit"),
        ({"environment": "CartPole-v1"}, "not a complete policy file"),
    ],
)
def test_changed_files(file, changes, says):
    changed(file, **changes)
    with pytest.raises(CheckpointError, match=says):
        load_policy(file, "cpu")


def test_hostile_and_other_files(file, tmp_path):
    file.write_bytes(trap(tmp_path / "sprung"))
    with pytest.raises(CheckpointError, match="Nothing from it was executed"):
        load_policy(file)
    assert not (tmp_path / "sprung").exists()
    save_checkpoint(file, "RNDModel", {})
    with pytest.raises(CheckpointError, match="'RNDModel', but 'Policy' was expected"):
        load_policy(file)
    with pytest.raises(CheckpointError, match="no checkpoint file"):
        load_policy(tmp_path / "missing.safetensors")


def test_spaces_survive(file):
    policy = load_policy(file, "cpu").policy
    assert policy.observation_space == cartpole().observation_space
    assert policy.action_space == spaces.Discrete(2)
