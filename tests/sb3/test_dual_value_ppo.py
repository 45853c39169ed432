"""DualValuePPO: returns by hand, the loss over both heads, files."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import TransformObservation
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from hxwrappers import RNDBonus
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.sb3 import DualValuePPO, ExplorationLog, VecCNDBonus, VecRNDBonus
from hxwrappers.sb3.dual_value_buffer import DualValueDictRolloutBuffer, DualValueRolloutBuffer
from tests.envs_for_tests import Corridor, Pictures

QUICK = {"features": 8, "hidden": 8, "warmup_steps": 4, "update_every": 16, "seed": 0}
SHORT = {"n_steps": 16, "batch_size": 16, "seed": 0, "device": "cpu"}


def corridors(**settings):
    return VecRNDBonus(VecMonitor(DummyVecEnv([Corridor] * 2)), **{**QUICK, **settings})


def filled(buffer_class=DualValueRolloutBuffer, space=None, steps=3):
    """A buffer of one environment with known rewards and values; an episode starts at step 1."""
    space = spaces.Box(-1, 1, (2,)) if space is None else space
    buffer = buffer_class(steps, space, spaces.Discrete(2), "cpu", 0.5, 0.9, 1)
    for step in range(steps):
        observation = space.sample()
        if isinstance(observation, dict):
            observation = {key: value[None] for key, value in observation.items()}
        buffer.add(
            observation,
            np.array([step % 2]),
            np.array([1.0 + step]),
            np.array([step == 1]),
            torch.tensor([[0.5, 0.25]]),
            torch.tensor([-0.7]),
        )
    buffer.compute_returns_and_advantage(torch.tensor([[2.0]]), np.array([False]))
    return buffer


def test_extrinsic_advantages_by_hand():
    # errors: 1 - 0.5 (the next step starts an episode), 2 + 0.9 * 0.5 - 0.5, 3 + 0.9 * 2 - 0.5
    advantages = filled().advantages.ravel()
    third = 4.3
    second = 1.95 + 0.9 * 0.5 * third
    np.testing.assert_allclose(advantages, [0.5, second, third], rtol=1e-6)


@pytest.mark.parametrize("episodic", [False, True])
def test_dual_advantages_by_hand(episodic):
    buffer = filled()
    extrinsic = buffer.advantages.copy()
    buffer.combine(
        np.array([[1.0], [0.0], [2.0]], np.float32),
        torch.tensor([[4.0]]),
        np.array([True]),
        gamma=0.5,
        episodic=episodic,
        coefficients=(2.0, 3.0),
    )
    # gamma 0.5, lambda 0.5; errors with bootstrap, then the running sum with factor 0.25
    third = 2.0 + (0.0 if episodic else 0.5 * 4.0) - 0.25
    second = 0.0 + 0.5 * 0.25 - 0.25 + 0.25 * third
    first = 0.75 if episodic else 1.0 + 0.5 * 0.25 - 0.25 + 0.25 * second
    intrinsic = np.array([[first], [second], [third]])
    np.testing.assert_allclose(buffer.intrinsic.advantages, intrinsic, rtol=1e-6)
    np.testing.assert_allclose(buffer.intrinsic.returns, intrinsic + 0.25, rtol=1e-6)
    np.testing.assert_allclose(buffer.advantages, 2 * extrinsic + 3 * intrinsic, rtol=1e-6)


@pytest.mark.parametrize(
    ("buffer_class", "space"),
    [
        (DualValueRolloutBuffer, spaces.Box(-1, 1, (2,))),
        (DualValueDictRolloutBuffer, spaces.Dict(a=spaces.Box(-1, 1, (2,)))),
    ],
)
def test_minibatches_interleave_both_returns(buffer_class, space):
    buffer = filled(buffer_class, space, steps=8)
    buffer.combine(
        np.arange(8, dtype=np.float32)[:, None],
        torch.tensor([[4.0]]),
        np.array([False]),
        gamma=0.9,
        episodic=False,
        coefficients=(1.0, 1.0),
    )
    extrinsic, intrinsic = buffer.returns.ravel().copy(), buffer.intrinsic.returns.ravel().copy()
    pairs = set(zip(extrinsic.tolist(), intrinsic.tolist(), strict=True))
    seen = set()
    for samples in buffer.get(3):
        assert samples.returns.shape == samples.old_values.shape == (2 * len(samples.actions),)
        seen |= {tuple(pair) for pair in samples.returns.reshape(-1, 2).tolist()}
        assert samples.old_values.reshape(-1, 2).unique(dim=0).tolist() == [[0.5, 0.25]]
    assert seen == pairs


def test_policy_values_have_two_columns_where_they_should():
    policy = DualValuePPO("MlpPolicy", corridors(), **SHORT).policy
    observation = torch.arange(10.0).reshape(5, 2)  # at zeros both values are zero
    _, values, _ = policy(observation)
    both, _, _ = policy.evaluate_actions(observation, torch.zeros(5))
    assert values.shape == both.shape == (5, 2)
    assert (values[:, 0] != values[:, 1]).any()
    assert torch.equal(policy.predict_values(observation), values[:, :1])
    assert torch.equal(policy.predict_intrinsic_values(observation), values[:, 1:])


def test_an_environment_by_its_id(monkeypatch):
    monkeypatch.setitem(gym.registry, "Bonused-v0", EnvSpec("Bonused-v0", bonused_corridor))
    model = DualValuePPO("MlpPolicy", "Bonused-v0", **SHORT).learn(32)
    assert model.num_timesteps == 32
    with pytest.raises(InvalidArgumentError, match="no novelty bonus"):
        DualValuePPO("MlpPolicy", "CartPole-v1", **SHORT).learn(32)


def bonused_corridor(**_):
    return RNDBonus(Corridor(), **QUICK)


def test_the_rollout_holds_both_rewards_apart():
    model = DualValuePPO("MlpPolicy", corridors(), **SHORT)
    model.learn(32)
    model.learn(32, reset_num_timesteps=False)
    rewards = model.rollout_buffer.rewards
    whole = np.isclose(rewards, np.round(rewards))
    assert whole.mean() > 0.5, "all but the bootstrapped time-outs are the rewards of the corridor"
    assert rewards[whole].max() <= 2
    assert (model.rollout_buffer.intrinsic.rewards > 0).all()
    assert model.rollout_buffer.intrinsic.rewards.shape == (16, 2)


def test_extrinsic_clip_bounds_what_is_learned_from_and_nothing_else():
    clipped = DualValuePPO("MlpPolicy", corridors(), extrinsic_clip=0.5, gamma=0.0, **SHORT)
    clipped.learn(32)
    assert clipped.rollout_buffer.rewards.max() == 0.5
    assert max(info["r"] for info in clipped.ep_info_buffer) > 0.5


def test_statistics_of_a_single_environment_stay_extrinsic():
    model = DualValuePPO("MlpPolicy", RNDBonus(Corridor(), **QUICK, coefficient=100.0), **SHORT)
    model.learn(64)
    assert all(info["r"] <= 10 for info in model.ep_info_buffer)
    assert len(model.ep_info_buffer) > 5


def test_an_environment_without_a_bonus_is_refused():
    model = DualValuePPO("MlpPolicy", make_vec_env("CartPole-v1"), **SHORT)
    with pytest.raises(InvalidArgumentError, match="no novelty bonus"):
        model.learn(16)


@pytest.mark.parametrize(
    "arguments",
    [
        {"extrinsic_coef": -1.0},
        {"intrinsic_coef": -0.1},
        {"intrinsic_gamma": 1.1},
        {"extrinsic_clip": 0.0},
        {"rollout_buffer_class": RolloutBuffer},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        DualValuePPO("MlpPolicy", corridors(), **arguments, **SHORT)


def parameters(model) -> np.ndarray:
    return torch.nn.utils.parameters_to_vector(model.policy.parameters()).detach().numpy()


@pytest.mark.parametrize(
    ("arguments", "alike"), [({}, True), ({"normalize_advantage": False}, False)]
)
def test_advantages_are_standardised_unless_told_otherwise(arguments, alike):
    learned = []
    for scale in (1.0, 64.0):
        weights = {"extrinsic_coef": 2 * scale, "intrinsic_coef": scale}
        model = DualValuePPO("MlpPolicy", corridors(), **SHORT, **weights, **arguments)
        learned.append(parameters(model.learn(64)))
    assert np.allclose(*learned, atol=1e-5) == alike


def test_save_and_load_keep_everything(tmp_path):
    model = DualValuePPO("MlpPolicy", corridors(), gamma=0.97, extrinsic_coef=1.5, **SHORT)
    model.learn(96)
    model.save(tmp_path / "model")
    loaded = DualValuePPO.load(tmp_path / "model", corridors(seed=9))
    assert loaded.num_timesteps == 96
    assert (loaded.gamma, loaded.extrinsic_coef) == (0.97, 1.5)
    np.testing.assert_array_equal(parameters(loaded), parameters(model))
    observation = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(
        loaded.env.model.score(observation), model.env.model.score(observation)
    )


def test_evaluation_during_training_shares_the_moments_of_vec_normalize():
    def normalized():
        return VecRNDBonus(VecNormalize(DummyVecEnv([Corridor] * 2), norm_reward=False), **QUICK)

    other = normalized()
    other.training = other.venv.training = False
    callback = EvalCallback(other, eval_freq=32, n_eval_episodes=1, verbose=0, warn=False)
    model = DualValuePPO("MlpPolicy", normalized(), extrinsic_clip=0.5, **SHORT)
    model.learn(64, callback=callback)
    np.testing.assert_array_equal(other.venv.obs_rms.mean, model.get_env().venv.obs_rms.mean)


def test_training_continues_bit_for_bit_after_loading(tmp_path):
    straight = DualValuePPO("MlpPolicy", corridors(), **SHORT)
    straight.learn(64)
    straight.save(tmp_path / "model.safetensors")
    resumed = DualValuePPO.load(tmp_path / "model.safetensors", corridors())
    for model in (straight, resumed):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        model.env.seed(5)
        model._last_obs = None
        model.learn(64, reset_num_timesteps=False)
    np.testing.assert_array_equal(parameters(straight), parameters(resumed))


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path):
    DualValuePPO("MlpPolicy", corridors(), **SHORT).save(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="wrappers"):
        DualValuePPO.load(
            tmp_path / "model.safetensors", VecCNDBonus(DummyVecEnv([Corridor] * 2), **QUICK)
        )
    with pytest.raises(CheckpointError):
        DualValuePPO.load(tmp_path / "model.safetensors", corridors(features=4))
    PPO("MlpPolicy", DummyVecEnv([Corridor]), n_steps=16, batch_size=16).save(tmp_path / "ppo.zip")
    with pytest.raises(CheckpointError):
        DualValuePPO.load(tmp_path / "ppo.zip", corridors())


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arguments", torch.zeros(2)),
        ("arguments", {"policy": 3}),
        ("arguments", {"policy": "MlpPolicy", "n_steps": -1}),
        ("arguments", {"policy": "MlpPolicy", "n_steps": 10**14}),
        ("arguments", {"policy": "MlpPolicy", "n_steps": torch.zeros(3)}),
        ("arguments", {"policy": "MlpPolicy", "no_such": 1}),
        ("arguments", {"policy": "MlpPolicy", "policy_kwargs": {"net_arch": [10**5, 10**5]}}),
        ("arguments", {"policy": "MlpPolicy", "policy_kwargs": {"net_arch": [9000] * 40}}),
        ("policy", 5),
        ("optimizer", {"state": 3}),
        ("generators", {}),
        ("wrappers", None),
    ],
)
def test_what_a_file_says_of_the_model_is_not_believed(name, value, tmp_path):
    path = tmp_path / "model.safetensors"
    DualValuePPO("MlpPolicy", corridors(), **SHORT).save(path)
    state = load_checkpoint(path, "DualValuePPO")
    save_checkpoint(path, "DualValuePPO", {**state, name: value})
    with pytest.raises(CheckpointError):
        DualValuePPO.load(path, corridors())


def test_the_network_of_cnd():
    model = DualValuePPO("CNDPolicy", VecCNDBonus(DummyVecEnv([Pictures] * 2), **QUICK), **SHORT)
    layers = [
        layer for layer in model.policy.features_extractor.modules() if hasattr(layer, "stride")
    ]
    assert [(layer.out_channels, layer.kernel_size[0], layer.stride[0]) for layer in layers] == [
        (32, 3, 2),
        (64, 3, 2),
        (64, 3, 2),
        (128, 3, 1),
    ]
    gains = {
        name: torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item()
        for name, weight in model.policy.named_parameters()
        if name.endswith("weight")
    }
    assert gains["action_net.weight"] == pytest.approx(0.01, rel=1e-3)
    assert gains["value_net.weight"] == pytest.approx(0.01, rel=1e-3)
    assert gains["mlp_extractor.value_net.0.weight"] == pytest.approx(0.1, rel=1e-3)
    assert gains["features_extractor.layers.1.weight"] == pytest.approx(2**0.5, rel=1e-3)
    model.learn(32)


def test_dict_observations():
    def make():
        env = Corridor()
        parts = spaces.Dict(place=env.observation_space, clock=spaces.Box(-np.inf, np.inf, (1,)))
        return TransformObservation(env, lambda seen: {"place": seen, "clock": seen[1:]}, parts)

    envs = VecRNDBonus(DummyVecEnv([make] * 2), **QUICK, observation_key="place")
    model = DualValuePPO("MultiInputPolicy", envs, **SHORT).learn(96)
    assert envs.model.updates > 0
    assert model.rollout_buffer.intrinsic.rewards.min() > 0


class Keys(KVWriter):
    """Collects the keys that are logged."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def write(self, key_values, key_excluded, step=0) -> None:
        self.keys |= set(key_values)

    def close(self) -> None:
        pass


EXPLORATION_KEYS = {
    "exploration/intrinsic_reward_mean",
    "exploration/intrinsic_reward_std",
    "exploration/intrinsic_reward_max",
    "exploration/reward_bonus_mean",
    "exploration/distillation_loss",
}


def test_what_is_logged():
    ours = DualValuePPO("MlpPolicy", corridors(), **SHORT)
    stock = PPO("MlpPolicy", corridors(), n_steps=16, batch_size=16)
    for model, callback in ((ours, None), (stock, ExplorationLog())):
        keys = Keys()
        model.set_logger(Logger(None, [keys]))
        model.learn(96, callback=callback)
        assert keys.keys >= EXPLORATION_KEYS
        assert ("exploration/value_explained_variance" in keys.keys) == (model is ours)


def test_callbacks_of_every_form_are_called():
    calls = []

    class Counts(BaseCallback):
        """Notes that it was called."""

        def _on_step(self):
            calls.append("object")
            return True

    def function(*_):
        calls.append("function")
        return True

    for callback in (Counts(), [Counts()], function, None):
        DualValuePPO("MlpPolicy", corridors(), **SHORT).learn(32, callback=callback)
    assert calls == ["object"] * 32 + ["function"] * 16


@pytest.mark.parametrize(
    "arguments",
    [
        {"policy_kwargs": {"activation_fn": torch.nn.ReLU}},
        {"clip_range": lambda remaining: 0.2 * remaining},
        {"policy_kwargs": {"activation_fn": torch.nn.ReLU}, "learning_rate": lambda _: 1e-3},
    ],
)
def test_what_a_file_cannot_hold_must_be_given_again(arguments, tmp_path):
    model = DualValuePPO("MlpPolicy", corridors(), **arguments, tensorboard_log=tmp_path, **SHORT)
    model.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match=f"as {', '.join(sorted(arguments))}, which"):
        DualValuePPO.load(tmp_path / "model", corridors())
    loaded = DualValuePPO.load(tmp_path / "model", corridors(), **arguments)
    seen = torch.ones(1, 2)
    assert torch.equal(loaded.policy(seen, True)[1], model.policy(seen, True)[1])


@pytest.mark.parametrize("part", [None, "place"])
def test_the_moments_of_a_vec_normalize_are_part_of_a_checkpoint(part, tmp_path):
    def make():
        env = Corridor()
        if part is None:
            return env
        parts = spaces.Dict({part: env.observation_space})
        return TransformObservation(env, lambda seen: {part: seen}, parts)

    def build():
        envs = VecRNDBonus(VecNormalize(DummyVecEnv([make] * 2), norm_reward=False), **QUICK)
        return DualValuePPO("MultiInputPolicy" if part else "MlpPolicy", envs, **SHORT)

    def moments(model):
        normalize = model.get_vec_normalize_env()
        seen = normalize.obs_rms if part is None else normalize.obs_rms[part]
        return [
            [*np.array([rms.mean, rms.var]).tolist(), rms.count]
            for rms in (seen, normalize.ret_rms)
        ]

    model = build().learn(64)
    model.save(tmp_path / "model")
    resumed = build()
    assert moments(resumed) != moments(model)
    resumed.load_state_dict(load_checkpoint(tmp_path / "model.safetensors", "DualValuePPO"))
    assert moments(resumed) == moments(model)
    model.learn(32, reset_num_timesteps=False)
    assert moments(resumed) != moments(model)


def test_the_rollout_is_combined_as_the_model_was_told(monkeypatch):
    arguments = {"intrinsic_gamma": 0.7, "extrinsic_coef": 3.0, "intrinsic_coef": 5.0}
    model = DualValuePPO("MlpPolicy", corridors(), episodic_intrinsic=True, **arguments, **SHORT)
    calls = []

    def combine(buffer, rewards, last_values, dones, **told):
        seen = torch.as_tensor(model._last_obs)
        assert torch.equal(last_values, model.policy.predict_intrinsic_values(seen))
        np.testing.assert_array_equal(dones, model._last_episode_starts)
        assert rewards.shape == (16, 2)
        calls.append(told)
        return original(buffer, rewards, last_values, dones, **told)

    original = DualValueRolloutBuffer.combine
    monkeypatch.setattr(DualValueRolloutBuffer, "combine", combine)
    model.learn(64)
    assert calls == [{"gamma": 0.7, "episodic": True, "coefficients": (3.0, 5.0)}] * 2


def test_the_network_of_rnd():
    model = DualValuePPO(
        "RNDPolicy", VecRNDBonus(DummyVecEnv([lambda: Pictures(44)] * 2), **QUICK), **SHORT
    )
    policy = model.policy
    layers = [layer for layer in policy.features_extractor.modules() if hasattr(layer, "stride")]
    assert [(layer.out_channels, layer.kernel_size[0], layer.stride[0]) for layer in layers] == [
        (32, 8, 4),
        (64, 4, 2),
        (64, 4, 1),
    ]
    gains = {
        name: torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item()
        for name, weight in policy.named_parameters()
        if name.endswith("weight")
    }
    for name, gain in {
        "action_net": 0.01,
        "value_net": 0.01,
        "mlp_extractor.policy_net.0": 0.1,
        "mlp_extractor.value_net.0": 0.1,
        "features_extractor.layers.1": 2**0.5,
        "features_extractor.layers.3": 2**0.5,
    }.items():
        assert gains[f"{name}.weight"] == pytest.approx(gain, rel=1e-3)
    features = torch.randn(3, 448)
    for way, layer in (
        (policy.mlp_extractor.forward_actor, policy.mlp_extractor.policy_net),
        (policy.mlp_extractor.forward_critic, policy.mlp_extractor.value_net),
    ):
        assert torch.equal(way(features), features + layer(features))


@pytest.mark.parametrize("policy", ["RNDPolicy", "CNDPolicy"])
def test_the_published_optimiser(policy):
    model = DualValuePPO(
        policy, VecRNDBonus(DummyVecEnv([lambda: Pictures(44)] * 2), **QUICK), **SHORT
    )
    assert {group["eps"] for group in model.policy.optimizer.param_groups} == {1e-8}


def test_the_network_of_rnd_needs_images_that_fill_its_kernels():
    with pytest.raises(InvalidArgumentError, match="44 pixels"):
        DualValuePPO("RNDPolicy", VecRNDBonus(DummyVecEnv([Pictures]), **QUICK), **SHORT)


def test_no_bound_of_the_gradient():
    model = DualValuePPO("MlpPolicy", corridors(), max_grad_norm=float("inf"), **SHORT)
    before = torch.nn.utils.parameters_to_vector(model.policy.parameters()).clone()
    after = torch.nn.utils.parameters_to_vector(model.learn(64).policy.parameters())
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
