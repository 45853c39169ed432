"""Workers in processes of their own, and what happens when one dies or fails."""

import multiprocessing
import os
import signal

import pytest

from hxwrappers.errors import DemoError, WorkerError
from hxwrappers.search.cells import Limits, Search
from hxwrappers.search.cells.archive import Start
from hxwrappers.search.cells.explorer import Explorer, Order
from hxwrappers.search.cells.workers import ProcessWorkers
from tests.search.cells import toys


def first_order(settings):
    explorer = Explorer(settings)
    first = explorer.beginning()
    start = Start(0.0, 0, first.lives, first.snapshot, b"", 1)
    return explorer, Order([(first.cell, 0.0, 0)], [], None, [(first.cell, start)])


def test_a_killed_worker_is_replaced():
    settings = toys.settings()
    explorer, order = first_order(settings)
    workers = ProcessWorkers(Explorer, settings, 1, explorer.reference)
    try:
        os.kill(workers.process_ids[0], signal.SIGKILL)
        workers.send(0, order)
        assert workers.receive() == [(0, None)]
        assert workers.deaths == 1
        workers.send(0, order)
        ((worker, explorations),) = workers.receive()
        assert worker == 0
        explorer.learn(order.known)
        mine = explorer.explore(*order.starts[0])
        assert [finding[:5] for finding in explorations[0].findings] == [
            finding[:5] for finding in mine.findings
        ]
    finally:
        workers.close()


@pytest.mark.timeout(120)
def test_a_stopped_worker_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr("hxwrappers._utils.processes.SECONDS_TO_END", 0.5)
    settings = toys.settings()
    workers = ProcessWorkers(Explorer, settings, 1, first_order(settings)[0].reference)
    os.kill(workers.process_ids[0], signal.SIGSTOP)
    workers.close()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_search_survives_the_death_of_a_worker():
    search = Search(toys.settings(), workers=2)
    killed = []

    def kill_one(progress):
        if not killed:
            child = multiprocessing.active_children()[0]
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        if progress.workers_lost and progress.score == 6:
            search.stop()

    progress = search.run(Limits(seconds=60), kill_one)
    assert progress.workers_lost == 1
    assert progress.score == 6
    assert search.demo().actions.tolist() == [8] * 15
    assert not multiprocessing.active_children()


def test_workers_that_keep_dying_are_reported():
    settings = toys.settings()
    explorer, order = first_order(settings)
    workers = ProcessWorkers(Explorer, settings, 1, explorer.reference)

    def die():
        os.kill(workers.process_ids[0], signal.SIGKILL)
        workers.send(0, order)
        workers.receive()

    try:
        die()
        die()
        with pytest.raises(WorkerError, match=r"3 workers .* killed by SIGKILL"):
            die()
    finally:
        workers.close()


@pytest.mark.slow
def test_what_fails_in_a_worker_is_raised_here():
    search = Search(toys.settings("tests.search.cells.toys:failing"), workers=2)
    with pytest.raises(DemoError, match="failed: RuntimeError: eight"):
        search.run(Limits(seconds=60))
    assert not multiprocessing.active_children()
