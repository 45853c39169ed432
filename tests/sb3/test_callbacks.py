"""What the callbacks log, for algorithms with long rollouts and for those with short ones."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import ARS
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import (
    DualValuePPO,
    ExplorationLog,
    ImitationLog,
    RolloutTraining,
    VecRNDBonus,
)


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
            # A rollout that is not over when the line is written belongs to the next one.
            last = step if algorithm is PPO else (step - 1) // 4 * 4
            yield np.arange(first, last + 1), line
            first = last + 1
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
