"""Episode statistics inside a curriculum count what those outside count."""

import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from hxwrappers import DemoResetCurriculum, SkipReplayedSteps
from hxwrappers.errors import StatisticsWarning
from hxwrappers.sb3 import evaluation_env
from tests.demos.samples import lake_demo, lake_env
from tests.wrappers.curricula import tracker_of

RECORD = gym.wrappers.RecordEpisodeStatistics
QUICK = {"allowed_lag": 2, "extra_steps": 1.0}


def curriculum(env, demo, **settings):
    return DemoResetCurriculum(env, demo, tracker_of(demo, window=3), **QUICK, **settings)


@pytest.mark.parametrize("replay_steps", [0, 2])
@pytest.mark.parametrize(
    "inside", [Monitor, RECORD, lambda env: Monitor(RECORD(env, stats_key="own"))]
)
def test_inside_is_what_outside_is(inside, replay_steps):
    demo = lake_demo()
    env = curriculum(inside(lake_env()), demo, replay_steps=replay_steps)
    outside = RECORD(env, stats_key="outside")
    generator = np.random.default_rng(0)
    ends = set()
    for episode in range(30):
        outside.reset(seed=0 if episode == 0 else None)
        over = False
        while not over:
            *_, terminated, truncated, info = outside.step(int(generator.integers(4)))
            over = terminated or truncated
        ends.add(info["attempt"])
        for key in {"episode", "own"} & {*info}:
            assert info[key]["r"] == info["outside"]["r"]
            assert info[key]["l"] == info["outside"]["l"]
        assert "episode" in info
    assert {"lagging", "ended"} <= ends
    if inside is Monitor:
        monitor = env.env
        assert monitor.get_episode_lengths() == list(outside.length_queue)
        assert monitor.get_total_steps() >= sum(outside.length_queue)


def test_the_file_of_a_monitor_holds_every_episode(tmp_path):
    demo = lake_demo()
    env = curriculum(Monitor(lake_env(), str(tmp_path / "lake")), demo)
    for episode in range(8):
        env.reset(seed=0 if episode == 0 else None)
        while not any(env.step(0)[2:4]):
            pass
    env.close()
    rows = (tmp_path / "lake.monitor.csv").read_text().splitlines()[2:]
    assert len(rows) == env.tracker.episodes == 8


def envs_of(demo, tracker, **kwargs):
    wrap = partial(DemoResetCurriculum, demo=demo, tracker=tracker, **QUICK)
    arguments = {"is_slippery": False}
    return make_vec_env(
        "FrozenLake-v1", 2, env_kwargs=arguments, wrapper_class=wrap, seed=0, **kwargs
    )


def test_the_usual_way_of_stable_baselines3(tmp_path):
    demo = lake_demo()
    tracker = tracker_of(demo, window=3)
    envs = envs_of(demo, tracker)
    model = PPO("MlpPolicy", envs, n_steps=64, batch_size=64, n_epochs=1, device="cpu", seed=0)
    evaluated = evaluation_env(envs, envs_of(demo, tracker))
    watch = EvalCallback(evaluated, eval_freq=32, n_eval_episodes=3, log_path=str(tmp_path))
    watch.verbose = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # vectors of unlike classes, which is meant
        model.learn(128, callback=watch)
    returns = [each["r"] for each in model.ep_info_buffer]
    assert len(returns) == tracker.episodes  # those of the evaluation are not counted
    assert np.mean(returns) <= 1
    assert np.load(tmp_path / "evaluations.npz")["results"].shape == (2, 3)
    with pytest.warns(StatisticsWarning, match="starts inside the demonstration"):
        evaluate_policy(model, model.get_env(), 4)


def test_skipped_replays_leave_the_statistics_alone():
    demo = lake_demo()
    env = SkipReplayedSteps(curriculum(Monitor(lake_env()), demo, replay_steps=2))
    env.reset(seed=0, options={"starting_point": 4})
    info = {}
    while "episode" not in info:
        info = env.step(0)[4]
    assert info["episode"]["r"] == 0
