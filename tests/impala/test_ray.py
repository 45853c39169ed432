"""Training with actors on a real Ray cluster of several nodes on this machine."""

import os
import signal
import threading

import pytest

from hxwrappers.errors import ActorError
from hxwrappers.impala import Impala
from tests.impala import runs
from tests.impala.test_faults import ENDLESS, wait_for

ray = pytest.importorskip("ray")
ray_cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def cluster():
    os.environ |= {"RAY_worker_niceness": "0"}
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = ray_cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def settings(**options):
    return runs.settings(backend="ray", num_actors=2, cpus_per_actor=1.0, **options)


def test_training_goes_on_when_a_node_is_removed(cluster, tmp_path):
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    run = Impala(runs.make_corridors, settings(), tmp_path)
    happened = []

    def remove() -> None:
        try:
            wait_for("training", lambda: run.updates > 5)
            cluster.remove_node(nodes.pop(0), allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=1))
            wait_for("a new actor", lambda: run.log.rows[-1]["actors/restarts"] > 0)
            before = run.updates
            wait_for("training to go on", lambda: run.updates > before + 5)
            happened.append(run.updates)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=remove, daemon=True)
    thread.start()
    run.train(ENDLESS, progress=False)
    thread.join(10)
    assert happened
    assert run.log.rows[-1]["actors/restarts"] >= 1
    assert run.log.rows[-1]["actors/policy_lag"] >= 0
    again = Impala(runs.make_corridors, runs.settings(), tmp_path)  # in processes from here on
    assert again.resume() == run.num_timesteps
    for node in nodes:
        cluster.remove_node(node)


def test_an_actor_that_fails_shows_why(cluster):
    node = cluster.add_node(num_cpus=2)
    run = Impala(runs.crash_in_actors, settings(unroll_length=100, max_failures=2))
    with pytest.raises(ActorError, match=r"(?s)2 times in a row.*the thirtieth step"):
        run.train(ENDLESS, progress=False)
    cluster.remove_node(node)
    hopeless = Impala(runs.make_corridors, settings(actor_timeout=5.0))
    with pytest.raises(ActorError, match="each actor needs 1 CPU"):
        hopeless.train(ENDLESS, progress=False)
