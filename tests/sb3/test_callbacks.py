"""What the callbacks log, for long and for short rollouts, and what they save of a bonus."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import ARS
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3 import (
    BonusCheckpointCallback,
    BonusReplayBuffer,
    DualValuePPO,
    ExplorationLog,
    ImitationLog,
    RolloutTraining,
    VecCNDBonus,
    VecRNDBonus,
    load_bonus,
)
from tests.envs_for_tests import Corridor


class Lines(KVWriter):
    """Keeps what is written, with the number of steps at which that happens."""

    def __init__(self):
        self.lines = []

    def write(self, key_values, key_excluded, step=0):
        self.lines.append((step, dict(key_values)))


class Numbered(gym.Wrapper):
    """Says of each step a bonus that is its number, and what an imitation reward would say."""

    steps = 0

    def step(self, action):
        *result, info = super().step(action)
        self.steps += 1
        own = {
            "intrinsic_reward": float(self.steps),
            "reward_bonus": 0.5 * self.steps,
            "imitation_reward": float(self.steps),
            "imitation_checkpoint": 1000 - self.steps,
            "imitation_share": self.steps / 1000,
        }
        return *result, {**info, **own}


def lines_of(algorithm, callback, key, **settings):
    """Lines of a log, each with the first and the last of the steps that it is of."""
    env = Numbered(Monitor(gym.make("CartPole-v1")))
    model = algorithm("MlpPolicy", env, seed=0, device="cpu", **settings)
    writer = Lines()
    model.set_logger(Logger(None, [writer]))
    model.learn(200, callback=callback, log_interval=2)
    first = 1
    for step, line in writer.lines:
        if key in line:
            yield np.arange(first, step + 1), line
            first = step + 1
    assert first > 100


ALGORITHMS = pytest.mark.parametrize(
    ("algorithm", "settings"),
    [(DQN, {"learning_starts": 10_000, "train_freq": 4}), (PPO, {"n_steps": 8, "batch_size": 8})],
)


@ALGORITHMS
def test_each_line_of_a_bonus_is_of_all_steps_since_the_one_before(algorithm, settings):
    key = "exploration/intrinsic_reward_mean"
    for steps, line in lines_of(algorithm, ExplorationLog(), key, **settings):
        assert line[key] == pytest.approx(steps.mean())
        assert line["exploration/intrinsic_reward_std"] == pytest.approx(steps.std())
        assert line["exploration/intrinsic_reward_max"] == steps[-1]
        assert line["exploration/reward_bonus_mean"] == pytest.approx(steps.mean() / 2)


@ALGORITHMS
@pytest.mark.parametrize("key", ["exploration/intrinsic_reward_mean", "imitation/reward_mean"])
def test_several_logs_of_the_same_do_not_mislead_each_other(key, algorithm, settings):
    log = ExplorationLog if key.startswith("exploration") else ImitationLog
    for several in ([log(), log()], CallbackList([log(), CallbackList([log()])])):
        for steps, line in lines_of(algorithm, several, key, **settings):
            assert line[key] == pytest.approx(steps.mean())


@ALGORITHMS
def test_each_line_of_an_imitation_is_of_all_steps_since_the_one_before(algorithm, settings):
    key = "imitation/reward_mean"
    for steps, line in lines_of(algorithm, ImitationLog(), key, **settings):
        assert line[key] == pytest.approx(steps.mean())
        assert line["imitation/checkpoint_max"] == 1000 - steps[0]
        assert line.get("imitation/share_max", 0) <= steps[-1] / 1000


class Updates(BaseCallback):
    """How often the novelty model had been trained at each step."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at = stop_at
        self.seen = []

    def _on_step(self):
        self.seen.append(self.training_env.model.updates)
        return len(self.seen) != self.stop_at


def bonused(**settings):
    quick = {"features": 8, "hidden": 8, "warmup_steps": 8, "epochs": 1, "seed": 0}
    return VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), **{**quick, **settings})


ALGORITHMS = {
    "PPO": lambda envs, steps: PPO("MlpPolicy", envs, n_steps=steps, batch_size=50, n_epochs=1),
    "A2C": lambda envs, steps: A2C("MlpPolicy", envs, n_steps=steps),
    "DualValuePPO": lambda envs, steps: DualValuePPO(
        "MlpPolicy", envs, n_steps=steps, batch_size=50, n_epochs=1
    ),
}


@pytest.mark.parametrize("steps", [50, 150])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_bonus_is_trained_between_rollouts_and_never_within(name, steps):
    envs, updates = bonused(), Updates()
    own = [] if name == "DualValuePPO" else [RolloutTraining()]
    ALGORITHMS[name](envs, steps).learn(3 * steps * 2, callback=[*own, updates])
    assert updates.seen == [0] * steps + [1] * steps + [2] * steps
    assert envs.model.updates == 3


def test_a_pace_of_the_users_own_is_kept():
    envs, updates = bonused(update_every=20), Updates()
    ALGORITHMS["DualValuePPO"](envs, 50).learn(100, callback=updates)
    assert updates.seen == [0] * 27 + [1] * 20 + [2] * 3


def test_a_rollout_that_is_broken_off_leaves_the_model_to_its_own_pace():
    envs = bonused()
    ALGORITHMS["PPO"](envs, 50).learn(100, callback=[RolloutTraining(), Updates(stop_at=30)])
    assert envs.model.updates == 1
    assert envs.model._schedule.steps == 128


def test_rollouts_of_some_steps_are_not_trained_on():
    model = DQN("MlpPolicy", bonused(), learning_starts=10)
    with pytest.raises(InvalidArgumentError, match="on-policy"):
        model.learn(20, callback=RolloutTraining())


@pytest.mark.parametrize("callback", [ExplorationLog, ImitationLog])
def test_an_algorithm_that_shows_no_infos(callback):
    model = ARS("LinearPolicy", "CartPole-v1", n_delta=1, n_eval_episodes=1)
    with pytest.raises(InvalidArgumentError, match="ARS does not show callbacks the infos"):
        model.learn(10, callback=callback())


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
