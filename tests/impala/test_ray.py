"""Training with actors on a real Ray cluster of several nodes on this machine."""

import os
import signal
import threading
from functools import partial

import pytest

from hxwrappers.curriculum import FrontierSettings, LocalStore, RayStore, SuccessTracker
from hxwrappers.errors import InvalidArgumentError, WorkerError
from hxwrappers.impala import Impala
from tests.demos.samples import lake_demo
from tests.impala import runs
from tests.impala.test_faults import ENDLESS
from tests.processes import wait_for

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # seconds; a minute on an idle machine
    # Ray leaves files and sockets of its own open, which Python tells of whenever it collects them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray"),
]


eventually = partial(wait_for, patience=1500.0)


def settings(**options):
    return runs.settings(backend="ray", **({"num_actors": 2, "cpus_per_actor": 1.0} | options))


def train_while(run, action):
    """Train until an action in another thread is over; it tells whether it came to its end."""
    errors, over = [], threading.Event()

    def act() -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)
        finally:
            if not over.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    try:
        run.train(ENDLESS, progress=False)
    finally:
        over.set()
    thread.join(10)
    if errors:
        raise errors[0]


def test_training_goes_on_when_a_node_is_removed(ray_cluster, tmp_path):
    run = Impala(runs.make_corridors, settings(), tmp_path)

    def remove() -> None:
        eventually("training", lambda: run.updates > 5)
        ray_cluster.lose_a_node()
        eventually("the loss to be seen", lambda: run.log.rows[-1]["actors/restarts"] > 0)
        before = run.updates
        eventually("training to go on with one actor", lambda: run.updates > before + 5)
        ray_cluster.add_a_node()
        ready = run.log.rows[-1]["actors/restarts"]
        before = run.updates
        eventually("training to go on with two", lambda: run.updates > before + 5)
        assert run.log.rows[-1]["actors/restarts"] == ready

    train_while(run, remove)
    assert run.log.rows[-1]["actors/policy_lag"] >= 0
    assert run.num_timesteps == run.log.rows[-1]["steps"]
    again = Impala(runs.make_corridors, runs.settings(), tmp_path)  # in processes from here on
    assert again.resume() == run.num_timesteps


@pytest.mark.parametrize(
    ("make_env", "error", "messages"),
    [
        (runs.fail_in_actors, WorkerError, ["at its start", "in fail_in_actors", "on strike"]),
        (
            runs.make_wider_in_actors,
            InvalidArgumentError,
            ["count=7, first=0), but must be"],
        ),
        (runs.crash_in_actors, WorkerError, ["2 times in a row", "the thirtieth step"]),
    ],
)
def test_an_actor_that_fails_shows_why(ray_cluster, make_env, error, messages):
    run = Impala(make_env, settings(num_actors=1, unroll_length=100, max_failures=2))
    with pytest.raises(error) as caught:
        run.train(ENDLESS, progress=False)
    for message in messages:
        assert message in str(caught.value)


def test_a_curriculum_moves_with_actors_on_two_nodes(ray_cluster, tmp_path):
    rules = FrontierSettings(window=2, update_every=8, memory=50)
    tracker = SuccessTracker(lake_demo(), rules, RayStore(refresh=0.2))
    options = {"optimizer": "adam", "learning_rate": 3e-3, "features": 32}
    saved = {"curriculum": tracker}
    run = Impala(partial(runs.make_lakes, tracker), settings(**options), tmp_path, also_save=saved)

    def watch() -> None:
        eventually("both nodes to be taken", lambda: not ray.available_resources().get("CPU"))
        eventually("the frontier to move", lambda: tracker.frontiers[0] < 3)

    train_while(run, watch)
    eventually("all reports to arrive", lambda: tracker.episodes >= run.log.episodes)
    fresh = SuccessTracker(lake_demo(), rules, LocalStore())
    again = Impala(
        partial(runs.make_lakes, fresh),
        settings(**options),
        tmp_path,
        also_save={"curriculum": fresh},
    )
    again.resume()
    assert fresh.frontiers[0] < 3


def test_environments_in_processes_of_their_own(ray_cluster):
    run = Impala(runs.make_in_processes, settings(num_actors=1))
    run.train(200, progress=False)
    assert run.num_timesteps >= 200


def test_a_silent_actor_is_replaced_and_reported(ray_cluster):
    options = {"unroll_length": 100, "actor_timeout": 120.0, "max_failures": 1, "num_actors": 1}
    run = Impala(runs.get_stuck, settings(**options))
    with pytest.raises(WorkerError, match="120 s while waiting for an unroll"):
        run.train(ENDLESS, progress=False)


def test_without_room_it_says_so(ray_cluster):
    hopeless = Impala(runs.make_corridors, settings(actor_timeout=5.0, cpus_per_actor=2.0))
    with pytest.raises(WorkerError, match="CPU free, and each actor needs 2 CPU"):
        hopeless.train(ENDLESS, progress=False)
