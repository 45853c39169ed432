"""The success table in a Ray actor: the contract of all stores, several machines, and deaths."""

import os
import pickle
import sys
import time

import pytest
from gymnasium.error import DependencyNotInstalled

from hxwrappers.curriculum import RayStore, StartingPoint, SuccessTracker
from hxwrappers.errors import DemoError, InvalidArgumentError
from tests.curriculum.store_contract import CHECKS, RULES, train
from tests.demos.samples import lake_demo

ray = pytest.importorskip("ray")
PATIENCE = 1500.0
on_a_cluster = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # seconds; a minute on an idle machine
    # Ray leaves files and sockets of its own open, which Python tells of whenever it collects them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray"),
]


def slow(test):
    for mark in on_a_cluster:
        test = mark(test)
    return test


@pytest.fixture
def demo():
    return lake_demo()


class Worker:
    """Counts episodes on another node."""

    def __init__(self, tracker):
        self.tracker = tracker

    def work(self, episodes, seed):
        train(self.tracker, episodes, seed)
        return ray.get_runtime_context().get_node_id(), self.tracker.episodes


@pytest.fixture
def workers(ray_cluster):
    """Makes two workers, each on a node of its own."""
    made = []

    def make(tracker):
        made.extend(ray.remote(num_cpus=1)(Worker).remote(tracker) for _ in range(2))
        return made

    yield make
    for worker in made:
        ray.kill(worker)


@slow
@pytest.mark.parametrize("check", CHECKS)
def test_it_keeps_the_contract_of_all_stores(ray_cluster, demo, check):
    check(demo, lambda: RayStore(refresh=0))


@slow
def test_workers_on_two_nodes_share_one_table_and_may_be_killed(workers, demo):
    tracker = SuccessTracker(demo, RULES, RayStore(refresh=0))
    first, second = workers(tracker)
    results = [worker.work.remote(100, seed) for seed, worker in enumerate((first, second))]
    nodes, counted = zip(*ray.get(results, timeout=PATIENCE), strict=True)
    assert nodes[0] != nodes[1]
    assert max(counted) == tracker.episodes == 200
    assert tracker.finished

    endless = first.work.remote(10**9, 5)
    deadline = time.monotonic() + PATIENCE
    while tracker.episodes < 250:
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for 50 more episodes"
    ray.kill(first)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(endless, timeout=PATIENCE)
    before = tracker.episodes
    ray.get(second.work.remote(10, 6), timeout=PATIENCE)
    assert tracker.episodes == before + 10
    assert tracker.finished


@slow
def test_an_actor_that_dies_comes_back_with_what_was_last_read(ray_cluster, demo):
    tracker = SuccessTracker(demo, RULES, RayStore("mortal", refresh=0))
    train(tracker, 60)
    assert tracker.frontiers.tolist() == [0]
    state = tracker.state_dict()["words"]
    ray.kill(ray.get_actor("mortal", namespace="hxwrappers"), no_restart=False)
    assert (tracker.state_dict()["words"] == state).all()
    # What another process remembers that has read less changes nothing.
    tracker.store._ask("offer", SuccessTracker(demo, RULES, RayStore()).store._attached().words)
    assert tracker.episodes == 60
    train(tracker, 5)
    again = SuccessTracker(demo, store=RayStore("mortal"))
    assert (again.settings, again.episodes) == (RULES, 65)
    again.store.close()
    tracker.report(StartingPoint(0, 0), success=True)  # nobody waits for what comes of it
    with pytest.raises(DemoError, match=r"mortal.*is gone"):
        _ = tracker.episodes


@slow
def test_reading_may_lag_behind(ray_cluster, demo):
    tracker = SuccessTracker(demo, RULES, RayStore(refresh=3600))
    copy = pickle.loads(pickle.dumps(tracker))
    assert copy.episodes == 0
    train(tracker, 3)
    assert copy.episodes == 0
    copy.load_state_dict(tracker.state_dict())  # a state is always up to date for who loads it
    assert copy.store._table.words.tolist() == tracker.store._table.words.tolist()


@slow
def test_a_table_that_nobody_made(ray_cluster):
    with pytest.raises(DemoError, match="There is no success table 'nobody'"):
        pickle.loads(pickle.dumps(RayStore("nobody"))).count(StartingPoint(0, 0), success=True)


def test_forked_processes_are_told_what_to_do():
    store = RayStore("forked")
    store._process = os.getpid() + 1
    with pytest.raises(DemoError, match="forkserver"):
        store.count(StartingPoint(0, 0), success=True)


def test_bad_beginnings(monkeypatch):
    with pytest.raises(InvalidArgumentError, match="refresh"):
        RayStore(refresh=-1)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyNotInstalled, match=r"hxwrappers\[ray\]"):
        RayStore()
