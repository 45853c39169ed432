"""Whatever dies: training goes on or ends with the cause, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hxwrappers.errors import ActorError, CheckpointError, InvalidArgumentError, InvalidSpaceError
from hxwrappers.impala import Impala, load_policy
from hxwrappers.impala.files import checkpoints
from tests.impala import runs

ENDLESS = 10**9
PATIENCE = 120.0


def wait_for(what, condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.05)


def is_gone(process_id: int) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def in_background(action, *arguments) -> threading.Thread:
    thread = threading.Thread(target=action, args=arguments, daemon=True)
    thread.start()
    return thread


def test_a_killed_actor_is_replaced_and_everything_ends_clean(tmp_path):
    run = Impala(runs.make_corridors, runs.settings(), tmp_path)
    dead, replaced = [], []

    def kill() -> None:
        wait_for("training", lambda: run.updates > 3)
        dead.append(run.process_ids[0])
        os.kill(dead[0], signal.SIGKILL)
        wait_for("a new actor", lambda: run.process_ids[0] != dead[0])
        replaced.append(run.process_ids[0])
        before = run.updates
        wait_for("training to go on", lambda: run.updates > before + 3)
        os.kill(os.getpid(), signal.SIGINT)

    killer = in_background(kill)
    log = run.train(ENDLESS, progress=False)
    killer.join(PATIENCE)
    assert run.interrupted
    assert replaced
    assert log.rows[-1]["actors/restarts"] == 1
    assert all(is_gone(process_id) for process_id in dead + replaced)
    # Counts are exact: episodes of Corridor have a dummy row each, which is no step.
    assert log.rows[-1]["steps"] == run.num_timesteps == sum(
        np.diff([0] + [row["steps"] for row in log.rows])
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
    with pytest.raises(InvalidSpaceError, match="made for"):
        policy.act(np.zeros((5, 3), np.float32))


@pytest.mark.parametrize(
    ("make_env", "error", "messages"),
    [
        (runs.fail_in_actors, ActorError, ["at its start", "in fail_in_actors", "on strike"]),
        (runs.make_wider_in_actors, InvalidSpaceError, ["num_actions is 7, but must be 3"]),
        (runs.crash_in_actors, ActorError, ["2 times in a row", "the thirtieth step"]),
    ],
)
def test_an_actor_that_fails_shows_why(make_env, error, messages):
    # Unrolls of 100 steps, so that none is complete before the crash.
    run = Impala(make_env, runs.settings(unroll_length=100, max_failures=2))
    with pytest.raises(error) as caught:
        run.train(ENDLESS, progress=False)
    for message in messages:
        assert message in str(caught.value)


def test_a_silent_actor_is_killed_and_reported():
    run = Impala(
        runs.get_stuck, runs.settings(unroll_length=100, actor_timeout=60.0, max_failures=1)
    )

    def hurry() -> None:
        wait_for("the actor", lambda: run.process_ids)

    in_background(hurry)
    object.__setattr__(run.settings, "actor_timeout", 15.0)
    with pytest.raises(ActorError, match="15 s while waiting for"):
        run.train(ENDLESS, progress=False)


def start_script(folder: Path) -> tuple[subprocess.Popen, dict]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.impala.runs", str(folder), str(ENDLESS)],
        stderr=subprocess.PIPE,
        text=True,
    )
    told = folder / "told.json"
    wait_for("a checkpoint", lambda: told.exists() or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
    return process, json.loads(told.read_text())


def test_a_killed_learner_leaves_no_process_and_its_last_checkpoint(tmp_path):
    process, told = start_script(tmp_path)
    process.kill()
    process.wait(PATIENCE)
    wait_for("the actors' end", lambda: all(is_gone(actor) for actor in told["actors"]))
    process.stderr.close()
    run = Impala(runs.make_corridors, runs.settings(), tmp_path)
    steps = run.resume()
    assert steps >= told["steps"]
    assert steps == int(checkpoints(tmp_path)[-1].stem.split("-")[1])
    updates = run.updates
    run.train(steps + 200, progress=False)
    assert steps + 200 <= run.num_timesteps < steps + 200 + 40
    assert run.updates > updates
    # The newest may be damaged: then the one before it is taken.
    newest = checkpoints(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="The checkpoint before it is used"):
        assert Impala(runs.make_corridors, runs.settings(), tmp_path).resume() < run.num_timesteps


def test_sigterm_ends_a_run_in_good_order(tmp_path):
    process, told = start_script(tmp_path)
    process.terminate()
    _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in complaints
    assert "leaked" not in complaints
    assert all(is_gone(actor) for actor in told["actors"])
    final = json.loads((tmp_path / "told.json").read_text())
    assert load_policy(tmp_path).num_timesteps == final["steps"]


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
