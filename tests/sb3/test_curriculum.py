"""Curricula under Stable-Baselines3: logs, dead workers, and runs that go on where they stopped."""

import os
import signal
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from hxwrappers import DemoResetCurriculum, SkipReplayedSteps
from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.errors import CheckpointError, WorkerError
from hxwrappers.sb3 import BlockVecEnv, CurriculumLog
from hxwrappers.sb3.callbacks import CurriculumHistory
from hxwrappers.sb3.training_run import CHECKPOINT, TrainingRun
from tests.demos.samples import lake_demo, lake_env, paid_early

RULES = FrontierSettings(window=2, update_every=8, memory=30)


@pytest.fixture
def demo():
    return lake_demo()


def make(demo, tracker):
    return DemoResetCurriculum(
        gym.wrappers.RecordEpisodeStatistics(lake_env()), demo, tracker, allowed_lag=8
    )


def build(demo, tracker, vector=DummyVecEnv, seed=0, num_envs=4):
    envs = vector([partial(make, demo, tracker)] * num_envs)
    settings = {"learning_rate": 3e-3, "n_steps": 32, "batch_size": 64, "ent_coef": 0.01}
    return PPO("MlpPolicy", envs, seed=seed, device="cpu", **settings)


@pytest.mark.slow
def test_ppo_learns_the_lake_from_its_end_to_its_start(demo, tmp_path):
    tracker = SuccessTracker(demo, RULES)
    log = CurriculumLog(tracker, tmp_path / "frontier.png")
    model = build(demo, tracker)
    model.learn(10_000, callback=log)
    frontiers = [row["frontier"] for row in log.rows]
    assert frontiers[0] > frontiers[-1] == 0
    assert tracker.finished
    assert log.rows[-1]["covered"] == 1
    assert log.rows[-1]["success_rate"] > 0.2
    assert (tmp_path / "frontier.png").stat().st_size > 1000
    assert model.logger.name_to_value["curriculum/frontier"] == 0
    env = lake_env()
    observation, _ = env.reset()
    for _ in range(6):
        action, _ = model.predict(np.asarray(observation), deterministic=True)
        observation, reward, terminated, *_ = env.step(int(action))
    assert terminated
    assert reward == 1


def test_the_rows_of_a_log_grow_with_episodes_rather_than_steps(demo):
    tracker = SuccessTracker(demo, RULES)
    log = CurriculumLog(tracker)
    envs = DummyVecEnv([partial(make, demo, tracker)])
    DQN("MlpPolicy", envs, learning_starts=10_000, seed=0, device="cpu").learn(400, callback=log)
    assert 1 < len(log.rows) <= tracker.episodes + 1
    assert log.rows[-1]["episodes_counted"] == tracker.episodes


@pytest.mark.slow
@pytest.mark.parametrize("vector", [SubprocVecEnv, BlockVecEnv])
def test_a_killed_worker_is_a_clear_error_and_nothing_is_lost(demo, tmp_path, vector):
    tracker = SuccessTracker(demo, RULES)
    processes = partial(vector, start_method="fork")
    model = build(demo, tracker, processes, num_envs=2)
    envs = model.get_env().unwrapped
    own = vector is BlockVecEnv
    workers = [each.process for each in envs._workers] if own else envs.processes
    run = TrainingRun(model, tmp_path, progress=False, history=CurriculumHistory(tracker))
    run.train(1000)
    episodes = tracker.episodes
    assert episodes > 10
    os.kill(workers[0].pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="has died"):
        run.train(2000)
    assert tracker.episodes >= episodes
    assert 0 <= tracker.frontiers[0] <= 5
    workers[1].kill()
    again = SuccessTracker(demo, RULES)
    model = build(demo, again, processes, num_envs=2)
    resumed = TrainingRun(model, tmp_path, progress=False, history=CurriculumHistory(again))
    assert resumed.resume() >= 1000
    model.get_env().close()
    assert again.episodes == tracker.episodes
    assert again.frontiers.tolist() == tracker.frontiers.tolist()


def _train_for_ever(demo, folder: Path):
    tracker = SuccessTracker(demo, RULES)
    history = CurriculumHistory(tracker)
    TrainingRun(build(demo, tracker), folder, 0, 128, progress=False, history=history).train(10**9)


@pytest.mark.slow
def test_a_killed_trainer_goes_on_with_its_frontier_and_its_model(demo, tmp_path):
    context = torch.multiprocessing.get_context("spawn")
    trainer = context.Process(target=_train_for_ever, args=(demo, tmp_path))
    trainer.start()
    while not (tmp_path / CHECKPOINT).exists():
        assert trainer.is_alive()
        trainer.join(0.1)
    trainer.join(1.0)
    os.kill(trainer.pid, signal.SIGKILL)
    trainer.join()
    tracker = SuccessTracker(demo, RULES)
    history = CurriculumHistory(tracker)
    run = TrainingRun(build(demo, tracker), tmp_path, progress=False, history=history)
    steps = run.resume()
    assert steps % 128 == 0
    last = history.rows[-1]
    assert (last["steps"], last["frontier"]) == (steps, tracker.frontiers[0])
    assert last["episodes_counted"] == tracker.episodes
    run.train(steps + 128)
    assert history.rows[-1]["steps"] == steps + 128


def test_a_resumed_run_equals_one_that_never_stopped(demo, tmp_path):
    def start(folder):
        tracker = SuccessTracker(demo, RULES)
        history = CurriculumHistory(tracker)
        model = build(demo, tracker, seed=1)
        return TrainingRun(model, folder, 3, 256, progress=False, history=history)

    straight = start(tmp_path / "straight")
    straight.train(1024)
    start(tmp_path / "resumed").train(512)
    resumed = start(tmp_path / "resumed")
    assert resumed.resume() == 512
    resumed.train(1024)
    for one, other in zip(straight.history.rows, resumed.history.rows, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    one, other = (
        torch.nn.utils.parameters_to_vector(run.model.policy.parameters())
        for run in (straight, resumed)
    )
    assert torch.equal(one, other)


def test_a_checkpoint_of_another_demonstration_is_refused(demo, tmp_path):
    tracker = SuccessTracker(demo, RULES)
    history = CurriculumHistory(tracker)
    TrainingRun(build(demo, tracker), tmp_path, progress=False, history=history).train(128)
    other = paid_early(demo)
    tracker = SuccessTracker(other, RULES)
    history = CurriculumHistory(tracker)
    run = TrainingRun(build(other, tracker), tmp_path, progress=False, history=history)
    with pytest.raises(CheckpointError):
        run.resume()


def skipping(demo, tracker):
    return SkipReplayedSteps(make(demo, tracker))


def limited(demo, tracker):
    return gym.wrappers.TimeLimit(skipping(demo, tracker), 100)


@pytest.mark.parametrize("vectors", [DummyVecEnv, partial(SubprocVecEnv, start_method="fork")])
def test_the_curriculum_steps_aside_in_a_vector(demo, vectors):
    tracker = SuccessTracker(demo, RULES)
    envs = vectors([partial(maker, demo, tracker) for maker in (skipping, limited)])
    envs.reset()
    assert all("starting_point" in info for info in envs.reset_infos)
    envs.env_method("set_wrapper_attr", "training", False)
    envs.reset()
    assert envs.get_attr("training") == [False, False]
    assert not any("starting_point" in info for info in envs.reset_infos)
    # What Stable-Baselines3 sets itself is set at the outermost wrapper.
    envs.set_attr("training", True, indices=0)
    envs.reset()
    assert ["starting_point" in info for info in envs.reset_infos] == [True, False]
    envs.close()


@pytest.mark.parametrize(
    "vectors",
    [
        DummyVecEnv,
        pytest.param(partial(SubprocVecEnv, start_method="fork"), marks=pytest.mark.slow),
    ],
)
def test_several_demonstrations_in_a_vector_have_a_frontier_each(demo, vectors):
    longer = lake_demo(1, 3, 1, 1, 2, 1, 2, 2)
    tracker = SuccessTracker([demo, longer], RULES)
    model = build([demo, longer], tracker, vectors)
    log = CurriculumLog(tracker)
    model.learn(1024, callback=log)
    assert (tracker.store.look(lambda table: table.episodes) > 8).all()
    assert {"frontier_0", "frontier_1"} <= log.rows[-1].keys()
    assert (tracker.frontiers < tracker.latest).all()
    model.get_env().close()
