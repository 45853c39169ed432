"""Whatever dies: training goes on or ends with the cause, and nothing is left behind."""

import errno
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hxwrappers.errors import (
    CheckpointError,
    DemoError,
    FileWriteError,
    InvalidArgumentError,
    WorkerError,
)
from hxwrappers.files.checkpoints import load_checkpoint
from hxwrappers.impala import Impala, load_policy
from hxwrappers.impala.actor import Failure, FilledUnroll, note_failure
from hxwrappers.impala.learner import Learner
from hxwrappers.impala.policy import LOCK, checkpoints, exclusive_run
from hxwrappers.impala.reports import Report
from hxwrappers.impala.unrolls import UnrollShape
from tests.impala import runs
from tests.processes import PATIENCE, descendants, is_gone, wait_for

pytestmark = pytest.mark.timeout(900)  # seconds on an idle machine
ENDLESS = 10**9


def in_background(action, *arguments) -> threading.Thread:
    thread = threading.Thread(target=action, args=arguments, daemon=True)
    thread.start()
    return thread


def test_why_an_actor_dies_is_told_once(capsys):
    actor = SimpleNamespace(number=2, ready=True, starts=2, failures=0, reported_cause="")
    failure = Failure("ValueError", "a bug", "Traceback: ValueError: a bug")
    for _ in range(2):
        note_failure(actor, failure, limit=9)
    note_failure(actor, None, limit=9, code=-9)
    reported_cause = capsys.readouterr().err
    assert reported_cause.count("Traceback: ValueError: a bug") == 1
    assert reported_cause.count("Actor 2 has died and is replaced: killed by SIGKILL") == 1


def test_a_killed_actor_is_replaced_and_everything_ends_clean(tmp_path):
    run = Impala(runs.make_corridors, runs.settings(), tmp_path)
    dead, replaced = [], []

    def kill() -> None:
        try:
            wait_for("training", lambda: run.updates > 3)
            dead.append(run.process_ids[0])
            os.kill(dead[0], signal.SIGKILL)
            wait_for("a new actor", lambda: run.process_ids[0] != dead[0])
            replaced.append(run.process_ids[0])
            before = run.updates
            wait_for("training to go on", lambda: run.updates > before + 3)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    killer = in_background(kill)
    log = run.train(ENDLESS, progress=False)
    killer.join(PATIENCE)
    assert run.interrupted
    assert replaced
    assert log.rows[-1]["actors/restarts"] == 1
    assert all(is_gone(process_id) for process_id in dead + replaced)
    # Counts are exact: episodes of Corridor have a dummy row each, which is no step.
    assert (
        log.rows[-1]["steps"]
        == run.num_timesteps
        == sum(np.diff([0] + [row["steps"] for row in log.rows]))
    )
    assert len(checkpoints(tmp_path)) <= 2
    assert any(path.name.startswith("events") for path in tmp_path.iterdir())

    with pytest.raises(CheckpointError, match="holds a run already"):
        Impala(runs.make_corridors, runs.settings(), tmp_path).train(1)
    again = Impala(runs.make_corridors, runs.settings(), tmp_path)
    assert again.resume() == run.num_timesteps
    assert (again.updates, again.log.episodes) == (run.updates, run.log.episodes)
    another = Impala(runs.make_corridors, runs.settings(features=9), tmp_path)
    with pytest.raises(CheckpointError, match="another net"):
        another.resume()
    assert len(again.play(4)) == 4

    policy = load_policy(tmp_path)
    assert policy.num_timesteps == run.num_timesteps
    actions, state = policy.act(np.zeros((5, 2), np.float32))
    assert actions.shape == (5,)
    assert policy.act(np.zeros((5, 2), np.float32), state)[0].shape == (5,)
    with pytest.raises(InvalidArgumentError, match="made for"):
        policy.act(np.zeros((5, 3), np.float32))
    likeliest = load_policy(tmp_path, deterministic=True)
    likeliest.predict(np.zeros((5, 2), np.float32))
    assert likeliest.acting.deterministic  # as it was loaded


@pytest.mark.parametrize(
    ("make_env", "error", "messages"),
    [
        (runs.fail_in_actors, WorkerError, ["at its start", "in fail_in_actors", "on strike"]),
        (
            runs.make_wider_in_actors,
            InvalidArgumentError,
            ["count=7, first=0), but must be"],
        ),
        (runs.make_taller_in_actors, InvalidArgumentError, ["layout is", "shape=(4,)", "(2,)"]),
        (runs.crash_in_actors, WorkerError, ["2 times in a row", "the thirtieth step"]),
        (runs.lose_a_process_in_actors, WorkerError, ["EOFError", "the thirtieth step"]),
    ],
)
def test_an_actor_that_fails_shows_why(make_env, error, messages):
    # Unrolls of 100 steps, so that none is complete before the crash.
    run = Impala(make_env, runs.settings(unroll_length=100, max_failures=2))
    with pytest.raises(error) as caught:
        run.train(ENDLESS, progress=False)
    for message in messages:
        assert message in str(caught.value)


def test_what_was_learned_is_kept_whatever_an_actor_fails_with(tmp_path):
    run = Impala(runs.lose_the_table_in_actors, runs.settings(max_failures=1), tmp_path)
    with pytest.raises(DemoError, match="the thirtieth step"):
        run.train(ENDLESS, progress=False)
    assert run.updates
    assert load_policy(tmp_path).num_timesteps == run.num_timesteps


def test_actors_have_the_precision_of_a_cpu_whatever_the_learner_has(monkeypatch):
    def precision(_, device, *trunk, **options):
        return "float32" if device.index is None else "bfloat16"

    class Backend:
        def __init__(self, job, *others):
            raise WorkerError(job.precision)

    monkeypatch.setattr("hxwrappers.impala.trainer.hardware_precision", precision)
    monkeypatch.setattr("hxwrappers.impala.trainer.ProcessActors", Backend)
    with pytest.raises(WorkerError, match="float32"):
        Impala(runs.make_corridors, runs.settings(device="cpu:0")).train(1, progress=False)


@pytest.mark.parametrize("replay", [0, 2])
def test_batches_without_a_finite_gradient_are_no_updates(replay, monkeypatch, capsys):
    published = []

    class Backend:
        """Gives batches whose rewards are finite, but whose sums are not in every second one."""

        restarts, process_ids = 0, ()

        def __init__(self, job, *others):
            self.shape, self.count = UnrollShape.of(job.spec, job.settings), 0

        def receive(self, _):
            unroll = self.shape.allocate()
            unroll.valid[...] = True
            unroll.rewards[...] = 3e38 if self.count // 2 % 2 else 1
            self.count += 1
            return FilledUnroll(0, unroll, Report(0, [], {}))

        def publish(self, weights, version):
            published.append(version)

        def release(self, filled):
            pass

        def close(self):
            pass

    monkeypatch.setattr("hxwrappers.impala.trainer.ProcessActors", Backend)
    run = Impala(runs.make_corridors, runs.settings(replay=replay))
    log = run.train(240, progress=False)  # six batches of 40
    each = 1 + replay
    assert run.num_timesteps == 240
    assert run.updates == 3 * each
    assert published == [each, 2 * each, 3 * each]
    assert [row["train/skipped_updates"] for row in log.rows] == [0, 1] * 3
    assert log.rows[-1]["train/updates"] == 3 * each
    assert capsys.readouterr().err.count("Nothing was learned") == 1


def test_an_environment_that_gives_nan_ends_the_run_with_its_name():
    run = Impala(runs.give_nan_in_actors, runs.settings(unroll_length=100, max_failures=2))
    with pytest.raises(InvalidArgumentError, match=r"number 1 of its actor.*nan.* at \[0\]"):
        run.train(ENDLESS, progress=False)


@pytest.mark.slow
def test_environments_in_processes_of_their_own_end_with_their_actor():
    run = Impala(runs.make_in_processes, runs.settings())
    children = []

    def kill() -> None:
        try:
            wait_for("training", lambda: run.updates > 3)
            children.append(descendants(run.process_ids[0]))
            os.kill(run.process_ids[0], signal.SIGKILL)
            before = run.updates
            wait_for("training to go on", lambda: run.updates > before + 3)
            wait_for("their end", lambda: all(is_gone(child) for child in children[0]))
            children.append(descendants(run.process_ids[0]))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    killer = in_background(kill)
    log = run.train(ENDLESS, progress=False)
    killer.join(PATIENCE)
    assert log.rows[-1]["actors/restarts"] == 1
    assert [len(ids) >= 2 for ids in children] == [True, True]
    wait_for("everybody's end", lambda: all(is_gone(child) for child in children[1]))


def test_a_silent_actor_is_killed_and_reported():
    options = {"unroll_length": 100, "actor_timeout": 1.0, "max_failures": 1}
    run = Impala(runs.get_stuck, runs.settings(**options))
    with pytest.raises(WorkerError, match="1 s while waiting for"):
        run.train(ENDLESS, progress=False)


def test_actors_are_not_blamed_for_a_slow_learner(monkeypatch):
    run = Impala(runs.make_corridors, runs.settings(actor_timeout=300.0))
    learn = Learner.learn
    pauses, paused = iter([1.0]), 0.0

    def learn_slowly(self, batch, progress):
        nonlocal paused
        for pause in pauses:
            time.sleep(pause)  # in which the actor fills what it may fill
            paused += 301.0
        return learn(self, batch, progress)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + paused)
    monkeypatch.setattr("hxwrappers.impala.processes.time", clock)
    monkeypatch.setattr(Learner, "learn", learn_slowly)
    log = run.train(60, progress=False)
    assert paused
    assert log.rows[-1]["actors/restarts"] == 0


def start_run(folder: Path) -> tuple[multiprocessing.Process, dict]:
    reported_cause = folder / "told.json"
    reported_cause.unlink(missing_ok=True)
    process = multiprocessing.get_context("forkserver").Process(
        target=runs.main, args=(str(folder), ENDLESS)
    )
    process.start()
    try:
        wait_for("a checkpoint", lambda: reported_cause.exists() or not process.is_alive())
        assert process.is_alive()
    except AssertionError:
        process.kill()
        raise
    return process, json.loads(reported_cause.read_text())


@pytest.mark.slow
def test_killed_resumed_and_ended_by_a_signal(tmp_path, capfd):
    process, reported_cause = start_run(tmp_path)
    for resumes in (False, True):
        other = Impala(runs.make_corridors, runs.settings(), tmp_path)
        if resumes:
            other.resume()
        with pytest.raises(CheckpointError, match="Another process is training"):
            other.train(ENDLESS, progress=False)
    process.kill()
    process.join(PATIENCE)
    wait_for("the actors' end", lambda: all(is_gone(actor) for actor in reported_cause["actors"]))
    saved = checkpoints(tmp_path)[-1]
    run = Impala(runs.make_corridors, runs.settings(), tmp_path)
    steps = run.resume()
    assert steps >= reported_cause["steps"]
    assert steps == int(saved.stem.split("-")[1])
    # Where the newest is damaged, the one before it is taken.
    damaged = tmp_path / "checkpoint-999999999999.safetensors"
    damaged.write_bytes(saved.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="The checkpoint before it is used"):
        assert Impala(runs.make_corridors, runs.settings(), tmp_path).resume() == steps
    damaged.unlink()

    process, reported_cause = start_run(tmp_path)
    assert reported_cause["steps"] > steps
    (tmp_path / "told.json").unlink()
    process.terminate()
    process.join(PATIENCE)
    assert process.exitcode == 0
    complaints = capfd.readouterr().err
    assert "Traceback" not in complaints
    assert "leaked" not in complaints
    assert all(is_gone(actor) for actor in reported_cause["actors"])
    final = json.loads((tmp_path / "told.json").read_text())
    assert (
        final["steps"] >= reported_cause["steps"]
    )  # equal, if the signal came before the next batch
    assert load_policy(tmp_path).num_timesteps == final["steps"]
    assert run.updates < load_checkpoint(checkpoints(tmp_path)[-1], "Impala")["updates"]


def test_two_runs_that_start_at_once(tmp_path):
    folder = tmp_path / "new"
    with exclusive_run(folder):
        run = Impala(runs.make_corridors, runs.settings(), folder)
        with pytest.raises(CheckpointError, match="choose another folder"):
            run.train(1)
    assert run.train(1, progress=False) is run.log


def test_a_disk_without_locks(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with exclusive_run(tmp_path), exclusive_run(tmp_path):
        pass
    with pytest.raises(FileWriteError), exclusive_run(tmp_path / LOCK / "folder"):
        pass


def test_bad_beginnings(tmp_path):
    with pytest.raises(InvalidArgumentError, match="made 2 environments"):
        Impala(runs.make_corridors, runs.settings(envs_per_actor=4))
    run = Impala(runs.make_corridors, runs.settings(), tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        run.resume()
    with pytest.raises(InvalidArgumentError, match="folder"):
        Impala(runs.make_corridors, runs.settings()).resume()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_policy(tmp_path)
    mean = SimpleNamespace(state_dict=lambda: {"mean": np.float64(0.5)})
    run = Impala(runs.make_corridors, runs.settings(), tmp_path, also_save={"my mean": mean})
    with pytest.raises(CheckpointError, match=r"also_save\['my mean'\]\['.*float64"):
        run.train(1)
