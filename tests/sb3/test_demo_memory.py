"""A task for the memory: its cue is seen in replayed steps alone."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.demos import DemoRecording
from hxwrappers.sb3 import DemoRecurrentPPO


class TMaze(gym.Env[np.ndarray, int]):
    """The first observation shows on which side the reward is; the junction comes steps later."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, length: int = 3) -> None:
        self.observation_space = spaces.Box(0, 1, (4,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.length = length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.side = int(self.np_random.integers(2))
        self.place = 0
        return self._look(), {}

    def step(self, action: int):
        at_junction = self.place == self.length
        self.place = min(self.place + 1, self.length)
        return self._look(), float(at_junction and action == self.side), at_junction, False, {}

    def _look(self) -> np.ndarray:
        shown = self.side if self.place == 0 else (3 if self.place == self.length else 2)
        return np.eye(4, dtype=np.float32)[shown]


def maze_demo(side):
    for seed in range(20):
        recording = DemoRecording(TMaze())
        recording.reset(seed=seed)
        if recording.env.unwrapped.side == side:
            for _ in range(4):
                recording.step(side)
            return recording.demo()
    raise AssertionError


def learn_from_the_junction(replay_steps, steps):
    """Train where every episode begins at the junction, and look how the last ones went."""
    frozen = FrontierSettings(window=0, update_every=10**9, memory=64)
    tracker = SuccessTracker([maze_demo(0), maze_demo(1)], frozen, LocalStore())
    assert tracker.latest == (3, 3)

    def env():
        return DemoResetCurriculum(
            TMaze(), tracker.demos, tracker, replay_steps=replay_steps, extra_steps=None
        )

    torch.manual_seed(0)
    model = DemoRecurrentPPO(
        "MlpLstmPolicy",
        DummyVecEnv([env] * 8),
        n_steps=10,  # so that rollouts begin in the middle of episodes
        batch_size=80,
        burn_in=3,
        learning_rate=0.01,
        policy_kwargs={"lstm_hidden_size": 16, "net_arch": []},
        seed=0,
        device="cpu",
    )
    model.learn(steps)
    return model, tracker


def plays_from_the_start(model):
    """The share of episodes from the true start in which the memory served."""
    won = []
    for seed in range(20):
        env = TMaze()
        observation, _ = env.reset(seed=seed)
        state, over = None, False
        while not over:
            action, state = model.predict(observation, state, deterministic=True)
            observation, reward, over, _, _ = env.step(int(action))
        won.append(reward)
    return np.mean(won)


@pytest.mark.slow
def test_the_memory_task_is_learned_from_replayed_cues():
    model, tracker = learn_from_the_junction(replay_steps=3, steps=8_000)
    assert tracker.success_rates.mean() > 0.9
    assert plays_from_the_start(model) == 1.0


@pytest.mark.slow
def test_the_memory_task_needs_the_replay():
    _, tracker = learn_from_the_junction(replay_steps=0, steps=4_000)
    assert 0.3 < tracker.success_rates.mean() < 0.7
