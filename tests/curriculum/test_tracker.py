"""The tracker and its stores: shared by processes, killed at any moment, saved, damaged."""

import json
import multiprocessing
import os
import pickle
import signal
import time

import numpy as np
import pytest

from hxwrappers.curriculum import (
    AttemptSettings,
    FileStore,
    FrontierSettings,
    LocalStore,
    StartingPoint,
    SuccessTracker,
)
from hxwrappers.curriculum.stores import _HEADER_BYTES
from hxwrappers.demos import Demo
from hxwrappers.errors import DemoError, UnrewardedDemoWarning
from tests.curriculum.store_contract import CHECKS, RULES, train, with_frontier
from tests.demos.samples import lake_demo, paid_early


@pytest.fixture
def demo():
    return lake_demo()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("store", [LocalStore, FileStore])
def test_every_store_keeps_the_contract(demo, store, check):
    check(demo, store)


def test_starts_are_spread_as_published(demo):
    tracker = SuccessTracker(demo, FrontierSettings(window=2, own_share=0.8), LocalStore())
    tracker.load_state_dict(with_frontier(tracker, 3))
    generator = np.random.default_rng(0)
    steps = [tracker.draw(generator).step for _ in range(20_000)]
    shares = np.bincount(steps, minlength=6) / len(steps)
    third, end = 0.8 / 3, 0.2 / 3
    assert shares == pytest.approx([0, third, third, third + end, end, end], abs=0.01)


def test_of_several_demonstrations_the_slowest_is_drawn_most(demo):
    tracker = SuccessTracker([demo, paid_early(demo), demo], RULES, LocalStore())
    for episode in range(60):
        tracker.report(StartingPoint(1, episode % 4), success=True)
    assert tracker.frontiers[1] < tracker.frontiers[0]
    generator = np.random.default_rng(0)
    drawn = np.bincount([tracker.draw(generator).demo for _ in range(3000)], minlength=3)
    assert drawn[1] < min(drawn[0], drawn[2])
    assert drawn.min() > 50


def test_it_is_finished_once_enough_episodes_from_the_very_start_succeed(demo):
    tracker = SuccessTracker(demo, RULES, LocalStore())
    while tracker.frontiers[0]:
        tracker.report(StartingPoint(0, max(int(tracker.frontiers[0]) - 2, 0)), success=True)
        tracker.report(StartingPoint(0, int(tracker.frontiers[0])), success=True)
    while (told := tracker.store.look(lambda table: int(table.since_move[0]))) < RULES.update_every:
        assert not tracker.finished, told
        tracker.report(StartingPoint(0, 0), success=True)
    assert tracker.finished
    while tracker.success_rates[0] >= RULES.threshold:
        tracker.report(StartingPoint(0, 0), success=False)
    assert not tracker.finished


def test_a_path_goes_on_with_the_file_and_its_settings(demo, tmp_path):
    path = tmp_path / "deeper" / "tracker"
    train(SuccessTracker(demo, RULES, path), 20)
    again = SuccessTracker(demo, store=path)
    assert again.settings == RULES
    assert again.episodes == 20
    assert again.frontiers[0] < 5


def test_another_demonstration_or_other_settings_are_refused(demo, tmp_path):
    path = tmp_path / "tracker"
    SuccessTracker(demo, RULES, path)
    with pytest.raises(DemoError, match="other demonstrations"):
        SuccessTracker(paid_early(demo), RULES, path)
    with pytest.raises(DemoError, match="window=9"):
        SuccessTracker(demo, FrontierSettings(window=9), path)


def test_demonstrations_without_a_reward_are_warned_of(demo):
    with pytest.warns(UnrewardedDemoWarning, match="Demonstration 1 .* in its 5 steps"):
        SuccessTracker([demo, demo.slice(stop=5)], RULES, LocalStore())


def test_demonstrations_without_steps_are_refused(demo):
    with pytest.raises(DemoError):
        SuccessTracker(demo.slice(stop=0))
    with pytest.raises(DemoError):
        SuccessTracker([])
    with pytest.raises(DemoError, match="is None; it must be a Demo, the path"):
        SuccessTracker(None)


@pytest.mark.parametrize("kind", ["truncated", "magic", "json", "settings", "latest", "frontier"])
def test_damaged_files_are_refused(demo, tmp_path, kind):
    path = tmp_path / "tracker"
    SuccessTracker(demo, RULES, path)
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        data = data[:-3]
    elif kind == "magic":
        data[0] = 0
    elif kind == "json":
        data[30] = ord("}")
    elif kind == "frontier":
        data[_HEADER_BYTES + 5] = 255
    else:
        start = data.index(b"\n") + 1
        header = json.loads(data[start:_HEADER_BYTES].rstrip(b"\0"))
        header |= {"latest": {"latest": [2**50]}, "settings": {"settings": {"window": -3}}}[kind]
        data[start:_HEADER_BYTES] = json.dumps(header).encode().ljust(_HEADER_BYTES - start, b"\0")
    path.write_bytes(data)
    with pytest.raises(DemoError, match="tracker"):
        SuccessTracker(demo, store=path)


def test_a_temporary_file_goes_away_with_its_maker(demo):
    tracker = SuccessTracker(demo, RULES)
    folder = tracker.store.path.parent
    copy = pickle.loads(pickle.dumps(tracker))
    train(copy, 3)
    assert tracker.episodes == 3
    del copy
    assert folder.exists()
    late = pickle.dumps(tracker)
    del tracker
    assert not folder.exists()
    orphan = pickle.loads(late)
    for use in (lambda: orphan.frontiers, lambda: orphan.report(StartingPoint(0, 1), success=True)):
        with pytest.raises(DemoError, match="is not there"):
            use()
    assert not folder.exists()


def _work(tracker, episodes, seed):
    train(tracker, episodes, seed)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("spawn", marks=pytest.mark.slow),
        "forkserver",
        pytest.param("fork", marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_all_workers_count_into_one_table(demo, method):
    tracker = SuccessTracker(demo, RULES)
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=_work, args=(tracker, 200, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert tracker.episodes == 600
    assert tracker.finished


def _work_for_ever(tracker, seed, started):
    started.set()
    train(tracker, 10**9, seed)


@pytest.mark.parametrize("number", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_workers_killed_at_any_moment_corrupt_nothing_and_block_nobody(demo, number):
    tracker = SuccessTracker(demo, FrontierSettings(window=5, update_every=2, memory=50))
    context = multiprocessing.get_context("fork")
    generator = np.random.default_rng(0)
    kills = 0
    for _ in range(number):
        started = context.Event()
        worker = context.Process(target=_work_for_ever, args=(tracker, kills, started))
        worker.start()
        started.wait(30)
        reported = tracker.episodes + 10
        while tracker.episodes < reported and worker.is_alive():  # however slow the machine is
            time.sleep(0.001)
        time.sleep(float(generator.uniform(0, 0.02)))
        os.kill(worker.pid, signal.SIGKILL)
        worker.join(10)
        kills += worker.exitcode == -signal.SIGKILL
        begun = time.monotonic()
        before = tracker.episodes
        tracker.report(StartingPoint(0, 0), success=True)
        assert time.monotonic() - begun < 5.0  # half of the patience after which it gives up
        assert tracker.episodes == before + 1
        assert 0 <= tracker.frontiers[0] <= 5
        rates = tracker.rates()
        assert ((rates >= 0) & (rates <= 1) | np.isnan(rates)).all()
    assert kills == number
    assert tracker.episodes > 10 * number


def test_a_stopped_worker_with_the_lock_is_an_error_that_says_so(demo, tmp_path, monkeypatch):
    monkeypatch.setattr("hxwrappers.curriculum.stores._PATIENCE", 0.2)
    path = tmp_path / "tracker"
    tracker = SuccessTracker(demo, RULES, path)
    holder = SuccessTracker(demo, store=path)
    with holder.store._locked():
        with pytest.raises(DemoError, match="locked by another process"):
            tracker.report(StartingPoint(0, 0), success=True)
        assert tracker.episodes == 0, "readers wait for nobody"
    tracker.report(StartingPoint(0, 0), success=True)


def test_a_path_of_a_demonstration_will_do(demo, tmp_path):
    demo.save(tmp_path / "demo.npz")
    tracker = SuccessTracker(str(tmp_path / "demo.npz"), store=LocalStore())
    assert isinstance(tracker.demos[0], Demo)
    assert tracker.latest == (5,)
    assert SuccessTracker(tmp_path.glob("*.npz"), store=LocalStore()).latest == (5,)


def test_environments_of_a_process_share_what_is_worked_out_of_the_demonstrations(demo):
    tracker = SuccessTracker(demo, RULES, LocalStore())
    courses = tracker.courses(AttemptSettings())
    assert tracker.courses(AttemptSettings()) is courses
    assert tracker.courses(AttemptSettings(allowed_lag=None)) is not courses
    assert [course.last for course in courses] == [len(demo)]
    before = len(pickle.dumps(SuccessTracker(demo, RULES, LocalStore())))
    assert len(pickle.dumps(tracker)) == before
