"""Training with actors on a real Ray cluster of several nodes on this machine."""

import os
import threading

import pytest

from hxwrappers.errors import ActorError
from hxwrappers.impala import Impala
from tests.impala import runs
from tests.impala.test_faults import ENDLESS, wait_for

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    os.environ["RAY_worker_niceness"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def settings(**options):
    return runs.settings(backend="ray", num_actors=2, cpus_per_actor=1.0, **options)


def test_training_goes_on_when_a_node_is_removed(cluster, tmp_path):
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    run = Impala(runs.make_corridors, settings(), tmp_path)
    happened = []

    def remove() -> None:
        wait_for("training", lambda: run.updates > 5)
        occupied = {
            actor["NodeID"] for actor in _states() if actor["State"] == "ALIVE"
        }
        node = next(node for node in nodes if node.node_id in occupied)
        cluster.remove_node(node, allow_graceful=False)
        nodes.remove(node)
        wait_for("a new actor", lambda: run.log.rows[-1]["actors/restarts"] > 0)
        before = run.updates
        wait_for("training to go on", lambda: run.updates > before + 5)
        happened.append(run.updates)
        os.kill(os.getpid(), 2)

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


def _states() -> list[dict]:
    from ray.util.state import list_actors

    return [{"NodeID": actor.node_id, "State": actor.state} for actor in list_actors()]


def test_an_actor_that_fails_shows_why(cluster):
    node = cluster.add_node(num_cpus=2)
    run = Impala(runs.crash_in_actors, settings(unroll_length=100, max_failures=2))
    with pytest.raises(ActorError, match="(?s)2 times in a row.*the thirtieth step"):
        run.train(ENDLESS, progress=False)
    cluster.remove_node(node)
    hopeless = Impala(runs.make_corridors, settings(actor_timeout=5.0))
    with pytest.raises(ActorError, match="each actor needs 1 CPU"):
        hopeless.train(ENDLESS, progress=False)
