"""Agents trained under a VecNormalize see at evaluation what they saw in training."""

import json
import pickle
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from hxwrappers.cli import main
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3 import DualValuePPO, TrainingRun, VecRNDBonus, load_policy, save_policy
from hxwrappers.sb3.model_file import load_model_policy
from hxwrappers.sb3.normalization import Inert, Normalization, read_pickle
from tests.traps import trap

QUICK = {"n_steps": 32, "batch_size": 32, "device": "cpu", "seed": 0}


class Scaled(gym.Env):
    """Shows, among large numbers, which action is right; an agent must see them normalised."""

    metadata: ClassVar[dict[str, object]] = {"render_modes": ["rgb_array"]}

    def __init__(self, kind="box", dtype=np.float32, render_mode=None):
        own = spaces.Box(-1e4, 1e4, (3,), dtype)
        self.kind, self.dtype, self.render_mode = kind, dtype, render_mode
        self.observation_space = own
        if kind == "dict":
            self.observation_space = spaces.Dict({"seen": own, "mode": spaces.Discrete(2)})
        self.action_space = spaces.Discrete(2)

    def seen(self):
        self.right = int(self.np_random.integers(2))
        own = np.array([1000.0, -500.0, 3000.0 + 10 * self.right], self.dtype)
        return {"seen": own, "mode": 0} if self.kind == "dict" else own

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.seen(), {}

    def step(self, action):
        self.steps += 1
        reward = float(action == self.right)
        return self.seen(), reward, self.steps == 16, False, {}


gym.register("HxScaled-v0", entry_point="tests.sb3.test_normalization:Scaled")
KINDS = {
    "float32": {},
    "float64": {"dtype": "float64"},
    "dict": {"kind": "dict"},
}


def recipe(**kwargs):
    return {"maker": "gymnasium", "id": "HxScaled-v0", "kwargs": kwargs}


def trained(kwargs, **options):
    envs = make_vec_env("HxScaled-v0", 4, seed=0, env_kwargs=kwargs)
    if kwargs.get("kind") == "dict":
        options["norm_obs_keys"] = ["seen"]
    envs = VecNormalize(envs, **options)
    policy = "MultiInputPolicy" if kwargs.get("kind") == "dict" else "MlpPolicy"
    model = PPO(policy, envs, **QUICK, learning_rate=0.02)
    return model.learn(512), envs, policy


def normalized(**options):
    envs = VecNormalize(make_vec_env("HxScaled-v0", 4, seed=0), **options)
    envs.reset()
    for _ in range(4):
        envs.step(np.zeros(4, int))
    return envs


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    return KINDS[request.param], *trained(KINDS[request.param])


def observations(kwargs, number=20):
    env = gym.make("HxScaled-v0", **kwargs)
    seen = [env.reset(seed=seed)[0] for seed in range(number)]
    if kwargs.get("kind") == "dict":
        return {key: np.stack([each[key] for each in seen]) for key in seen[0]}
    return np.stack(seen)


def test_a_file_and_a_zip_act_as_the_model_did(case, tmp_path):
    kwargs, model, envs, policy = case
    seen = observations(kwargs)
    expected = model.predict(envs.normalize_obs(seen), deterministic=True)[0]
    assert 0 < expected.mean() < 1  # it tells the two cases apart
    save_policy(tmp_path / "policy.safetensors", model, recipe(**kwargs))
    model.save(tmp_path / "model.zip")
    envs.save(tmp_path / "vecnormalize.pkl")
    loaded = PPO.load(tmp_path / "model.zip", device="cpu")  # has no environment any more
    with pytest.raises(CheckpointError, match="nothing says whether a VecNormalize"):
        save_policy(tmp_path / "again.safetensors", loaded, recipe(**kwargs))
    statistics = tmp_path / "vecnormalize.pkl"
    save_policy(tmp_path / "again.safetensors", loaded, recipe(**kwargs), statistics)
    save_policy(tmp_path / "given.safetensors", loaded, recipe(**kwargs), envs)
    playables = [
        load_policy(tmp_path / name)
        for name in ("policy.safetensors", "again.safetensors", "given.safetensors")
    ]
    options = {"policy": policy, "device": "cpu"}
    playables.append(
        load_model_policy(
            tmp_path / "model.zip", recipe(**kwargs), vecnormalize=statistics, **options
        )
    )
    for playable in playables:
        playable.require_fit(gym.make("HxScaled-v0", **kwargs))
        acted = playable.predict(seen, deterministic=True)[0]
        np.testing.assert_array_equal(acted, expected)
    with pytest.raises(CheckpointError, match=r"--vecnormalize FILE.*--vecnormalize none"):
        load_model_policy(tmp_path / "model.zip", recipe(**kwargs), **options)
    plain = load_model_policy(
        tmp_path / "model.zip", recipe(**kwargs), vecnormalize="none", **options
    )
    assert plain.normalization is None


def test_the_command_reports_the_true_score(tmp_path, capsys):
    model, envs, _ = trained({})
    model.save(tmp_path / "model.zip")
    envs.save(tmp_path / "vecnormalize.pkl")
    words = ["evaluate", str(tmp_path / "model.zip"), "--env", "HxScaled-v0", "--starts", "plain"]
    words += ["--episodes", "5", "--json", "--deterministic", "--device", "cpu"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "vecnormalize.pkl") in said
    scores = {}
    for statistics in ("none", str(tmp_path / "vecnormalize.pkl")):
        assert main([*words, "--vecnormalize", statistics]) == 0
        document = json.loads(capsys.readouterr().out)
        scores[statistics] = document["starts"]["plain"]["mean"]["value"]
    assert list(scores.values())[1] == 16.0
    assert scores["none"] < 12
    save_policy(tmp_path / "policy.safetensors", model, recipe())
    words[1] = str(tmp_path / "policy.safetensors")
    assert main(words[:2] + words[4:]) == 0
    assert json.loads(capsys.readouterr().out)["starts"]["plain"]["mean"]["value"] == 16.0
    assert main([*words, "--vecnormalize", "none"]) == 1
    assert "holds by itself" in capsys.readouterr().err


def evaluated(words, capsys):
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)["starts"]["plain"]["mean"]["value"]


@pytest.mark.parametrize("clipped", [0.5, 10.0])
def test_a_trainers_file_holds_how_it_was_normalised(tmp_path, capsys, clipped):
    envs = VecNormalize(make_vec_env("HxScaled-v0", 4, seed=0), norm_reward=False, clip_obs=clipped)
    bonus = VecRNDBonus(envs, coefficient=0.0, warmup_steps=4, features=4)
    like_ppo = {"n_epochs": 10, "clip_range": 0.2, "gamma": 0.9, "intrinsic_coef": 0.0}
    model = DualValuePPO("MlpPolicy", bonus, **QUICK, **like_ppo, learning_rate=0.02)
    run = TrainingRun(model, tmp_path / "run", progress=False)
    run.train(512)
    model.save(tmp_path / "model.zip")
    envs.save(tmp_path / "vecnormalize.pkl")
    seen = observations({})
    expected = model.predict(envs.normalize_obs(seen), deterministic=True)[0]
    assert 0 < expected.mean() < 1
    options = ["--env", "HxScaled-v0", "--starts", "plain", "--episodes", "3", "--json"]
    options += ["--deterministic", "--device", "cpu", "--algo", "dual_value_ppo"]
    for file in (tmp_path / "model.zip", run.folder / "checkpoint.safetensors"):
        playable = load_model_policy(file, recipe(), algorithm="DualValuePPO", device="cpu")
        np.testing.assert_array_equal(playable.predict(seen, deterministic=True)[0], expected)
        words = ["evaluate", str(file), *options]
        assert evaluated(words, capsys) == 16.0
        assert evaluated([*words, "--vecnormalize", str(tmp_path / "vecnormalize.pkl")], capsys)
        assert main([*words, "--vecnormalize", "none"]) == 1
        assert "would leave them as they are" in capsys.readouterr().err


@pytest.mark.parametrize("layers", [0, 2])
def test_a_trainers_file_that_contradicts(tmp_path, layers):
    envs = make_vec_env("HxScaled-v0", 2, seed=0)
    for _ in range(layers):
        envs = VecNormalize(envs, norm_reward=False)
    model = DualValuePPO("MlpPolicy", VecRNDBonus(envs, warmup_steps=4, features=4), **QUICK)
    model.save(tmp_path / "model.zip")
    normalized().save(tmp_path / "vecnormalize.pkl")
    with pytest.raises(
        CheckpointError if layers else InvalidArgumentError,
        match="2 times" if layers else "Leave --vecnormalize out",
    ):
        load_model_policy(
            tmp_path / "model.zip", recipe(), vecnormalize=tmp_path / "vecnormalize.pkl"
        )


def test_a_bonus_around_it_and_frames_stacked_inside_change_nothing(tmp_path):
    stacked = VecFrameStack(make_vec_env("HxScaled-v0", 2, seed=0), 2)
    envs = VecNormalize(stacked, norm_reward=False)
    model = PPO("MlpPolicy", VecRNDBonus(envs, warmup_steps=4, features=4), **QUICK).learn(64)
    save_policy(tmp_path / "policy.safetensors", model, recipe())
    seen = np.tile(observations({}), 2)
    expected = model.predict(envs.normalize_obs(seen), deterministic=True)[0]
    playable = load_policy(tmp_path / "policy.safetensors")
    np.testing.assert_array_equal(playable.predict(seen, deterministic=True)[0], expected)
    with pytest.raises(InvalidArgumentError, match="VecFrameStack"):
        playable.require_fit(gym.make("HxScaled-v0"))


def test_one_that_normalises_rewards_alone(tmp_path):
    envs = normalized(norm_obs=False)
    envs.save(tmp_path / "vecnormalize.pkl")
    assert Normalization.load(tmp_path / "vecnormalize.pkl") is None
    model = PPO("MlpPolicy", envs, **QUICK)
    save_policy(tmp_path / "policy.safetensors", model, recipe())
    assert load_policy(tmp_path / "policy.safetensors").normalization is None


# Python 3 has never written older ones by default, as VecNormalize.save does.
@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_every_form_of_pickle_is_read(protocol, tmp_path):
    envs = normalized()
    (tmp_path / "saved.pkl").write_bytes(pickle.dumps(envs, protocol))
    found = Normalization.load(tmp_path / "saved.pkl")
    mean, var = found.moments[None]
    np.testing.assert_array_equal(mean, envs.obs_rms.mean)
    np.testing.assert_array_equal(var, envs.obs_rms.var)
    assert (found.clip, found.epsilon) == (envs.clip_obs, envs.epsilon)


HOSTILE = {
    "text": b"no pickle",
    "empty": b"",
    "cut": pickle.dumps({"a": np.ones(3)})[:-9],
    "another class": pickle.dumps(np.random.default_rng(0)),
    "a dict": pickle.dumps({"obs_rms": 1, "norm_obs": True}),
    "persistent": b"Pvecnormalize\n.",
    "much memory": b"\x80\x04\x8a\x01\x00r\xff\xff\xff\xff.",
    "extension": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_of_something_else_are_refused(name, tmp_path):
    (tmp_path / "x.pkl").write_bytes(HOSTILE[name])
    with pytest.raises(CheckpointError, match=r"x\.pkl"):
        Normalization.load(tmp_path / "x.pkl")
    with pytest.raises(CheckpointError, match=r"missing\.pkl cannot be read"):
        Normalization.load(tmp_path / "missing.pkl")


def test_nothing_in_a_pickle_is_called(tmp_path):
    sprung = tmp_path / "sprung"
    (tmp_path / "x.pkl").write_bytes(trap(sprung))
    with pytest.raises(CheckpointError, match="no VecNormalize"):
        Normalization.load(tmp_path / "x.pkl")
    assert not sprung.exists()
    assert isinstance(read_pickle(trap(sprung), "x"), Inert)
    assert not sprung.exists()


@pytest.mark.parametrize("change", ["mean", "var", "clip_obs", "epsilon", "obs_rms"])
def test_damaged_statistics_are_refused(change, tmp_path):
    envs = normalized()
    owner = envs.obs_rms if change in ("mean", "var") else envs
    wrong = {"mean": np.full(3, np.nan), "var": -np.ones(3), "clip_obs": -1.0, "epsilon": "x"}
    setattr(owner, change, wrong.get(change))
    envs.save(tmp_path / "x.pkl")
    with pytest.raises(CheckpointError, match="incomplete or damaged"):
        Normalization.load(tmp_path / "x.pkl")
