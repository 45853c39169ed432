"""The update rule and the weights, case by case."""

import gc

import numpy as np
import pytest

from hxwrappers.search.cells.archive import Archive, Entry, Node, draw, is_better, visit_weights


def way(score: float, length: int, node: Node | None = None) -> Entry:
    return Entry(score, length, None, node or Node(None, b""), b"state")


@pytest.mark.parametrize(
    ("score", "length", "better"),
    [(1, 10, False), (1, 9, True), (1, 11, False), (2, 99, True), (0, 1, False)],
)
def test_a_higher_score_or_the_same_in_fewer_steps(score, length, better):
    archive = Archive()
    assert archive.offer("a", way(1, 10))
    assert is_better(score, length, 1, 10) == better
    assert archive.offer("a", way(score, length)) == better
    kept = archive.get("a")
    assert (kept.score, kept.length) == ((score, length) if better else (1, 10))
    assert len(archive) == 1


def test_visits_stay_when_a_way_is_replaced():
    archive = Archive()
    archive.offer("a", way(0, 5))
    archive.offer("b", way(0, 6))
    archive.visit(["a", "b", "a", "unknown"])
    archive.offer("a", way(0, 4))
    assert archive.visits.tolist() == [2, 1]
    assert archive.cells == ["a", "b"]


def test_more_cells_than_there_was_room_for():
    archive = Archive()
    for number in range(200):
        archive.offer(number, way(0, number))
        archive.visit([number])
    assert archive.visits.tolist() == [1] * 200
    assert archive.get(199).length == 199
    assert archive.get(200) is None


def test_trajectories_nobody_needs_are_freed():
    def alive() -> int:
        return sum(type(item) is Node for item in gc.get_objects())

    gc.collect()
    before = alive()
    archive = Archive()
    start = Node(None, bytes([1]))
    end = Node(Node(start, bytes([2])), bytes([3, 4]))
    assert end.trajectory() == bytes([1, 2, 3, 4])
    archive.offer("a", way(0, 4, end))
    del end
    assert alive() == before + 3
    archive.offer("a", way(0, 3, Node(start, bytes([5]))))
    assert alive() == before + 2
    assert archive.get("a").node.trajectory() == bytes([1, 5])


def test_long_chains_are_freed_without_recursion():
    node = Node(None, b"")
    for _ in range(200_000):
        node = Node(node, b"")
    del node


def test_weights():
    assert visit_weights(np.array([0, 1, 99])).tolist() == [1.0, 0.5, 0.01]
    counts = np.bincount(draw(np.array([1.0, 0.5, 0.5]), 40_000, np.random.default_rng(0)))
    assert np.abs(counts / 40_000 - [0.5, 0.25, 0.25]).max() < 0.01
    assert draw(np.ones(1), 3, np.random.default_rng(0)).tolist() == [0, 0, 0]


def test_the_least_promising_cells_are_dropped():
    archive = Archive()
    for number in range(100):
        archive.offer(number, way(number % 7, number))
        archive.visit([number] * (number % 10))
    whole = archive.size
    dropped = archive.drop(whole // 2)
    assert archive.size <= whole // 2
    assert len(archive) + len(dropped) == 100
    assert 0 in archive  # every way begins there
    assert min(number % 10 for number in dropped) >= max(number % 10 for number in archive.cells)
    assert archive.visits.tolist() == [number % 10 for number in archive.cells]
    assert all(archive.get(number).length == number for number in archive.cells)
    for number in dropped:
        assert archive.offer(number, way(0, number))
    assert len(archive) == 100
    archive.visit([dropped[0]])
    assert archive.visits[-len(dropped)] == 1


def test_the_size_follows_what_is_kept():
    archive = Archive()
    archive.offer("a", Entry(0, 9, None, Node(None, b""), bytes(1000)))
    before = archive.size
    archive.offer("a", Entry(0, 8, None, Node(None, b""), bytes(400)))
    assert archive.size == before - 600
