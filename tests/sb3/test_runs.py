"""Training runs: what a checkpoint holds, and that a resumed run equals one that never stopped."""

import os
import signal
import threading

import numpy as np
import pytest
import torch
from sb3_contrib import ARS
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3 import CurriculumHistory, DualValuePPO, VecCNDBonus
from hxwrappers.sb3.training_run import ExplorationHistory, TrainingRun
from tests.demos.samples import lake_demo
from tests.processes import wait_for
from tests.wrappers.curricula import tracker_of


def build(folder, checkpoint_every=64, **arguments) -> TrainingRun:
    envs = VecCNDBonus(
        make_vec_env("CartPole-v1", n_envs=2),
        features=8,
        hidden=8,
        warmup_steps=8,
        update_every=16,
        pairs=4,
        seed=0,
    )
    model = DualValuePPO("MlpPolicy", envs, n_steps=16, batch_size=16, seed=1, **arguments)
    return TrainingRun(model, folder, seed=2, checkpoint_every=checkpoint_every, progress=False)


def parameters(run: TrainingRun) -> np.ndarray:
    return torch.nn.utils.parameters_to_vector(run.model.policy.parameters()).detach().numpy()


def test_a_model_without_a_bonus_has_a_history_too(tmp_path):
    envs = make_vec_env("CartPole-v1", n_envs=2)
    model = PPO("MlpPolicy", envs, n_steps=16, batch_size=16, device="cpu")
    rows = TrainingRun(model, tmp_path, progress=False).train(64).rows
    assert len(rows) == 2
    assert "bonus_mean" not in rows[-1]


def test_a_history_survives_a_rollout_that_another_callback_stops():
    class Stop(BaseCallback):
        def _on_step(self):
            return False

    envs = make_vec_env("CartPole-v1", n_envs=2)
    history = ExplorationHistory()
    PPO("MlpPolicy", envs, n_steps=16, batch_size=16, device="cpu").learn(64, [history, Stop()])
    assert history.rows == []


class StopAt(BaseCallback):
    """Stops a training at a step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def _on_step(self):
        return self.num_timesteps < self.step


def test_a_run_that_is_there_is_not_overwritten(tmp_path):
    first = build(tmp_path)
    first.train(64)
    first.train(96)  # the same run may go on
    for refused in (lambda run: run.train(64), lambda run: run.begin(resume=False)):
        with pytest.raises(CheckpointError, match=r"resume\(\)"):
            refused(build(tmp_path))
    again = build(tmp_path)
    assert again.resume() == 96
    again.train(128)
    assert build(tmp_path).begin(resume=True) == 128


@pytest.mark.parametrize("step", [2, 70, 128])
@pytest.mark.parametrize("kind", ["exploration", "curriculum"])
def test_a_callback_ends_a_run_with_a_checkpoint(kind, step, tmp_path):
    run = build(tmp_path)
    run.callbacks = [StopAt(step)]
    if kind == "curriculum":
        run.history = CurriculumHistory(tracker_of(lake_demo(), window=2))
    run.train(1000)
    assert run.model.num_timesteps == step
    assert all(row["steps"] <= step for row in run.history.rows)
    again = build(tmp_path)
    again.history = run.history
    assert again.resume() == step


@pytest.mark.slow
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path):
    straight = build(tmp_path / "straight")
    straight.train(256)
    build(tmp_path / "resumed").train(128)
    resumed = build(tmp_path / "resumed")
    assert resumed.resume() == 128
    resumed.train(256)
    np.testing.assert_array_equal(parameters(straight), parameters(resumed))
    for one, other in zip(straight.history.rows, resumed.history.rows, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_a_checkpoint(number, tmp_path):
    run = build(tmp_path, checkpoint_every=10**9)

    def interrupt() -> None:
        wait_for("a rollout", lambda: run.model.num_timesteps > 0)
        os.kill(os.getpid(), number)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    run.train(10**9)
    interrupter.join()
    assert run.interrupted
    assert run.model.num_timesteps % 32 == 0
    again = build(tmp_path)
    assert again.resume() == run.model.num_timesteps
    np.testing.assert_array_equal(parameters(again), parameters(run))


def test_resume_without_a_checkpoint_says_where_it_looked(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint file"):
        build(tmp_path / "empty").resume()


def test_resume_into_another_model_changes_nothing(tmp_path):
    build(tmp_path).train(32)
    other = build(tmp_path, policy_kwargs={"net_arch": [7]})
    before = parameters(other)
    with pytest.raises(CheckpointError, match="does not fit"):
        other.resume()
    np.testing.assert_array_equal(parameters(other), before)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    build(tmp_path).train(32)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="truncated"):
        build(tmp_path).resume()


def test_bad_arguments(tmp_path):
    with pytest.raises(InvalidArgumentError, match="checkpoint_every"):
        build(tmp_path, checkpoint_every=0)
    for name in ("learning_rate", "clip_range", "clip_range_vf"):
        with pytest.raises(InvalidArgumentError, match=f"schedule of the {name}"):
            build(tmp_path, **{name: lambda remaining: 0.1 * remaining})


@pytest.mark.parametrize("kind", [SAC, DQN, ARS])
def test_algorithms_that_are_not_trained_in_rollouts(kind, tmp_path):
    env = "Pendulum-v1" if kind is SAC else "CartPole-v1"
    model = kind("LinearPolicy" if kind is ARS else "MlpPolicy", env)
    with pytest.raises(InvalidArgumentError, match=rf"learn from rollouts .*not {kind.__name__}"):
        TrainingRun(model, tmp_path)
