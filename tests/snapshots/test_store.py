"""Many snapshots in little room."""

import numpy as np
import pytest

from hxwrappers.errors import DemoError, SnapshotError
from hxwrappers.snapshots.store import SnapshotLog, SnapshotStore


def filled(count=5):
    common = np.random.default_rng(0).bytes(7000)
    log = SnapshotLog()
    for index in range(count):
        log.append(10 * index, bytes([index]) * 50 + common)
    return log, common


def test_what_is_common_is_stored_once():
    log, common = filled(50)
    store = log.store()
    assert len(store) == 50
    assert store.get(7) == bytes([7]) * 50 + common
    assert len(store.data) < 50 * 130
    assert len(store.dictionary) == 7050


def test_finding_and_cutting():
    store = filled()[0].store()
    assert store.last_at_or_before(-1) is None
    assert store.last_at_or_before(0) == 0
    assert store.last_at_or_before(19) == 1
    assert store.last_at_or_before(1000) == 4
    part = store.up_to(20)
    assert part.steps.tolist() == [0, 10, 20]
    assert part.get(2) == store.get(2)
    log = SnapshotLog(store)
    log.cut(20)
    assert log.store() == part
    assert hash(log.store()) == hash(part)
    assert SnapshotLog().last_step is None
    assert log.last_step == 20


def test_a_bomb_is_not_unpacked():
    log = SnapshotLog()
    log.append(0, bytes(1 << 27))
    assert len(log.store().data) < 1 << 18
    with pytest.raises(SnapshotError, match="larger than"):
        log.store().get(0)


def test_damage():
    store = filled()[0].store()
    broken = SnapshotStore(store.steps, b"", store.offsets, store.data)
    with pytest.raises(SnapshotError, match="damaged"):
        broken.get(1)
    cut = SnapshotStore([0], store.dictionary, [0, 20], store.data[:20])
    with pytest.raises(SnapshotError, match="truncated"):
        cut.get(0)


@pytest.mark.parametrize(
    ("steps", "offsets"),
    [
        ([0, 0], [0, 1, 2]),
        ([1, 0], [0, 1, 2]),
        ([-1, 0], [0, 1, 2]),
        ([0, 1], [0, 2, 1]),
        ([0, 1], [0, 1, 3]),
        ([0], [0, 1, 2]),
        ([0, 1], [1, 1, 2]),
    ],
)
def test_arrays_that_do_not_fit(steps, offsets):
    with pytest.raises(DemoError, match="do not fit"):
        SnapshotStore(steps, b"", offsets, b"xx")
