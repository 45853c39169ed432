"""What the callbacks log, for algorithms with long rollouts and for those with short ones."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import ARS
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import ExplorationLog, ImitationLog


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


@pytest.mark.parametrize("callback", [ExplorationLog, ImitationLog])
def test_an_algorithm_that_shows_no_infos(callback):
    model = ARS("LinearPolicy", "CartPole-v1", n_delta=1, n_eval_episodes=1)
    with pytest.raises(InvalidArgumentError, match="ARS does not show callbacks the infos"):
        model.learn(10, callback=callback())
