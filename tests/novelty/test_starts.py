"""Starting points chosen by novelty."""

from collections import Counter

import numpy as np
import pytest

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.novelty.starts import Point, StartArchive, Way


def chain(length, **values):
    point = None
    for number in range(length):
        point = Point(number, before=point, **values)
    return point


def filled(novelties, **arguments):
    archive = StartArchive(seed=0, **arguments)
    for number, novelty in enumerate(novelties):
        archive.add(Point(number, novelty=novelty))
    return archive


def test_what_is_new_is_chosen_and_less_so_the_more_often_it_was():
    archive = filled(np.linspace(0, 1, 100))
    chosen = Counter(archive.choose_new().snapshot for _ in range(500))
    assert min(chosen) > 20
    assert chosen.most_common(1)[0][0] > 90
    for point in archive.points[90:]:
        point.tries = 1000
    assert Counter(archive.choose_new().snapshot for _ in range(500)).most_common(1)[0][0] < 90


def test_a_full_archive_gives_up_what_promises_least():
    archive = filled(np.linspace(0, 1, 400), capacity=50)
    assert len(archive.points) == 50
    assert np.mean([point.novelty for point in archive.points]) > 0.6
    worse = Point("worse", novelty=-1.0)
    archive.add(worse)
    assert worse not in archive.points


def test_ways_of_a_higher_score_replace_those_of_a_lower_and_short_ones_long_ones():
    archive = StartArchive(ways=2, seed=0)
    lengths = {1: (4, 5), 3: (9, 4, 6, 5)}
    ways = [Way(float(score), chain(length)) for score in lengths for length in lengths[score]]
    for way in (*ways, Way(2.0, chain(1))):
        archive.add_way(way)
    assert [len(way) for way in archive.ways] == [4, 5]
    assert archive.score == 3.0


def test_starts_move_back_as_the_reward_is_earned_and_forward_where_it_is_not():
    archive = StartArchive(seed=0)
    archive.report(5.0)  # of no meaning without ways
    archive.add_way(Way(1.0, chain(10)))
    assert {archive.choose_on_way().snapshot for _ in range(100)} == {8, 9}
    reaches = []
    for rewarded in (7, 6, 32, 32, 2, 1, 0):  # of 32; a fifth is 6.4, a twentieth 1.6
        for number in range(32):
            archive.report(1.0 if number < rewarded else 0.0)
        reaches.append(round(archive.reach, 2))
    assert reaches == [2.4, 2.4, 2.88, 3.46, 3.46, 2.88, 2.4]
    for _ in range(32 * 20):
        archive.report(1.0)
    assert archive.reach == 10
    assert {archive.choose_on_way().snapshot for _ in range(300)} == set(range(10))
    archive.add_way(Way(2.0, chain(20)))
    assert archive.reach == 2


def test_an_archive_goes_on_as_it_would_have():
    archive = filled(np.linspace(0, 1, 30))
    archive.add_way(Way(2.0, chain(5)))
    archive.add(archive.ways[0].end)
    snapshots = [point.snapshot for point in archive.all_points()]
    other = StartArchive()
    other.load_state_dict(archive.state_dict(), snapshots)
    assert [p.snapshot for p in other.ways[0].end.way()] == [0, 1, 2, 3, 4]
    assert other.ways[0].end is other.points[-1]
    for _ in range(20):
        assert other.choose_new().snapshot == archive.choose_new().snapshot
        assert other.choose_on_way().snapshot == archive.choose_on_way().snapshot
        for each in (archive, other):
            each.report(2.0)
    assert other.state_dict() == archive.state_dict()


@pytest.mark.parametrize(
    "damage",
    [
        {"before": [5, 0, 1]},
        {"before": [-2, 0, 1]},
        {"before": ["a", 0, 1]},
        {"scores": [0.0]},
        {"tries": [-1, 0, 0]},
        {"points": [3]},
        {"points": [-1]},
        {"ways": [[1.0, 9]]},
        {"ways": [3]},
        {"generator": {}},
        {"reach": [0.5, 0, 0]},
        {"reach": [float("nan"), 0, 0]},
        {"reach": [3.0, 4, 5]},
        {"novelties": None},
    ],
)
def test_damaged_states_are_refused(damage):
    archive = StartArchive(seed=0)
    archive.add(chain(3))
    before = list(archive.points)
    with pytest.raises(CheckpointError):
        archive.load_state_dict({**archive.state_dict(), **damage}, ["a", "b", "c"])
    assert archive.points == before


@pytest.mark.parametrize("arguments", [{"capacity": 0}, {"ways": 0}])
def test_numbers_out_of_range(arguments):
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        StartArchive(**arguments)
