"""Starting points chosen by novelty."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.novelty.starts import Point, StartArchive, Way


def chain(length, **values):
    """Points at the steps 0, 1, ..."""
    point = None
    for number in range(length):
        point = Point(number, before=point, steps=number, **values)
    return point


def way(score, length):
    """A way whose reward comes one step after its last point."""
    return Way(score, chain(length), length)


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


def test_of_two_ways_to_what_is_new_the_shorter_one_goes_on():
    archive = StartArchive(seed=0)
    near, far = Point("near", novelty=1.0, steps=24), Point("far", novelty=1.0, steps=280)
    archive.points = [near, far]
    drawn = Counter(archive.choose_new() for _ in range(200))
    assert min(drawn[near], drawn[far]) > 50  # what finds a first way is no matter
    archive.add_way(Way(1.0, far, 281))
    assert Counter(archive.choose_new() for _ in range(200))[near] > 190
    near.tries = 10  # the weights are sqrt of 11 * (24 + 32) and of 1 * (280 + 32)
    assert Counter(archive.choose_new() for _ in range(200))[far] > 190


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
    ways = [way(float(score), length) for score in lengths for length in lengths[score]]
    for each in (*ways, way(2.0, 1)):
        archive.add_way(each)
    assert [each.steps for each in archive.ways] == [4, 5]
    assert archive.score == 3.0


def test_a_demonstrated_way_stays_among_shorter_ones_of_its_score():
    archive = StartArchive(ways=3, seed=0)
    shown = replace(way(3.0, 9), demonstrated=True)
    archive.add_way(shown)
    for length in (4, 6, 5):
        archive.add_way(way(3.0, length))
    assert [each.steps for each in archive.ways] == [9, 4, 5]
    assert archive.ways[0] is shown
    archive.add_way(way(4.0, 20))
    assert shown not in archive.ways


def test_starts_move_back_as_the_reward_is_earned_and_forward_where_it_is_not():
    archive = StartArchive(seed=0)
    archive.report(5.0, 1)  # of no meaning without ways
    archive.add_way(way(1.0, 40))
    starts = {archive.choose_on_way() for _ in range(400)}
    assert {(point.snapshot, left, back) for point, left, back in starts} == {
        (40 - left, left, left) for left in range(1, 9)
    }
    reaches = []
    for rewarded in (7, 6, 32, 32, 2, 1, 0):  # of 32; a fifth is 6.4, a twentieth 1.6
        for number in range(32):
            archive.report(1.0 if number < rewarded else 0.0, int(archive.reach))
        reaches.append(round(archive.reach, 2))
        assert archive.rate == rewarded / 32
    assert reaches == [9.6, 9.6, 11.52, 13.82, 13.82, 11.52, 9.6]
    while archive.reach < 54:  # 4/3 of the way
        archive.report(1.0, int(archive.reach))
    assert archive.reach == 54
    starts = Counter(archive.choose_on_way() for _ in range(400))
    far = {point and point.snapshot for point, _, back in starts if back >= 41}
    assert far == {None}  # the game's own start
    assert sum(count for (point, *_), count in starts.items() if point is None) > 250
    archive.add_way(way(2.0, 60))
    assert (archive.reach, archive.rate) == (8, 0)
    assert {archive.choose_on_way()[1] for _ in range(400)} == set(range(1, 9))


def test_a_way_is_learned_when_half_of_the_episodes_from_the_games_own_start_earn_its_reward():
    archive = StartArchive(seed=0)
    archive.report_from_start(5.0)  # of no meaning without ways
    archive.add_way(way(1.0, 40))
    for _ in range(16):
        archive.report_from_start(1.0)
    assert not archive.has_learned  # too few episodes
    for _ in range(16):
        archive.report_from_start(0.5)
    assert archive.has_learned  # wherever the reach stands
    assert archive.reach == 8
    other = StartArchive(seed=0)
    other.load_state_dict(archive.state_dict(), [p.snapshot for p in archive.all_points()])
    for each in (archive, other):
        assert each.has_learned
        each.report_from_start(0.0)  # for one that earned it
        assert not each.has_learned
    archive.report_from_start(3.0)
    for _ in range(32):
        archive.report_from_start(1.0)
    archive.add_way(way(2.0, 60))
    assert not archive.has_learned


def test_a_way_that_was_learned_is_not_forgotten_while_one_that_goes_on_is():
    archive = StartArchive(seed=0)
    archive.add_way(way(1.0, 20))
    for _ in range(32):
        archive.report_from_start(1.0)
    archive.add_way(way(2.0, 60))
    lefts = Counter(archive.choose_on_way()[1] for _ in range(4000))
    assert set(lefts) == set(range(1, 61))
    assert 0.1 < sum(lefts[left] for left in range(9, 61)) / 4000 < 0.25  # of a fifth
    for _ in range(64):
        archive.report(2.0, 60)
    assert archive.reach == 8  # these say nothing of it
    other = StartArchive(seed=0)
    other.load_state_dict(archive.state_dict(), [p.snapshot for p in archive.all_points()])
    assert [archive.choose_on_way()[1] for _ in range(50)] == [
        other.choose_on_way()[1] for _ in range(50)
    ]


def test_most_starts_on_ways_are_at_the_far_end_of_the_reach_and_these_alone_count():
    archive = StartArchive(seed=0)
    archive.add_way(way(1.0, 40))
    archive.reach = 16.0
    lefts = Counter(archive.choose_on_way()[1] for _ in range(2000))
    assert set(lefts) == set(range(1, 17))
    far = sum(lefts[left] for left in (12, 13, 14, 15, 16))  # a quarter of the reach
    assert 0.8 < far / 2000 < 0.93  # 0.8, and 5 / 16 of the rest
    for _ in range(64):
        archive.report(1.0, 11)
    assert archive.reach == 16
    for _ in range(64):
        archive.report(1.0, 12)
    assert archive.reach == pytest.approx(19.2)  # of which 12 is not at the far end any more
    short = StartArchive(seed=0)
    short.add_way(way(1.0, 3))
    short.reach = 16.0
    assert {short.choose_on_way()[1:] for _ in range(50)} == {(1, 1), (2, 2), (3, 3), (3, 4)}


def test_of_points_far_apart_the_last_one_before_the_wanted_step_is_taken():
    archive = StartArchive(seed=0)
    first = Point("first", steps=0)
    archive.add_way(Way(1.0, Point("last", before=first, steps=8), 11))
    chosen = [archive.choose_on_way() for _ in range(99)]
    assert {(point.snapshot, left) for point, left, _ in chosen} == {("first", 11), ("last", 3)}


def test_returns_along_a_way_worked_out_by_hand():
    first = Point("a", score=0.0, steps=0)
    second = Point("b", score=100.0, before=first, steps=1)  # earned by the first step
    third = Point("c", score=100.0, before=second, steps=3)
    found = Way(400.0, third, 4)
    assert found.returns(0.5) == [100 + 0.125 * 300, 0.25 * 300, 300]
    assert found.returns(0.5, clip=1.0) == [1.125, 0.25, 1]


@pytest.mark.parametrize("length", [1, 2, 5, 6, 7])
def test_the_state_of_an_archive_with_short_ways_fits(length):
    archive = StartArchive(seed=0)
    archive.add_way(way(1.0, length))
    for _ in range(64):
        archive.report(1.0, int(archive.reach))
    other = StartArchive(seed=0)
    other.load_state_dict(archive.state_dict(), [p.snapshot for p in archive.all_points()])
    assert other.reach == archive.reach


def test_an_archive_goes_on_as_it_would_have():
    archive = filled(np.linspace(0, 1, 30))
    archive.add_way(Way(2.0, chain(5, action=3), 6))
    archive.add(archive.ways[0].end)
    snapshots = [point.snapshot for point in archive.all_points()]
    other = StartArchive()
    other.load_state_dict(archive.state_dict(), snapshots)
    assert [p.snapshot for p in other.ways[0].end.way()] == [0, 1, 2, 3, 4]
    assert other.ways[0].end is other.points[-1]
    for _ in range(20):
        assert other.choose_new().snapshot == archive.choose_new().snapshot
        (point, *steps), (twin, *same) = archive.choose_on_way(), other.choose_on_way()
        assert steps == same
        assert (point and point.snapshot) == (twin and twin.snapshot)
        for each in (archive, other):
            each.report(2.0, steps[1])
    assert other.state_dict() == archive.state_dict()
    assert [p.action for p in other.ways[0].end.way()] == [3] * 5


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
        {"ways": [[1.0, 9, 9, False]]},
        {"ways": [[1.0, 2, 9]]},
        {"ways": [[1.0, 2, 2, False]]},
        {"steps": [0, 5, 4]},
        {"steps": [-1, 0, 1]},
        {"actions": [0]},
        {"ways": [3]},
        {"generator": {}},
        {"reach": [0.5, 0.0, 0, 0]},
        {"reach": [float("nan"), 0.0, 0, 0]},
        {"reach": [9.0, 0.0, 4, 5]},
        {"novelties": None},
    ],
)
def test_damaged_states_are_refused(damage):
    archive = StartArchive(seed=0)
    archive.add(chain(3))
    archive.add_way(Way(1.0, archive.points[0], 3))
    before = list(archive.points)
    with pytest.raises(CheckpointError):
        archive.load_state_dict({**archive.state_dict(), **damage}, ["a", "b", "c"])
    assert archive.points == before


@pytest.mark.parametrize("arguments", [{"capacity": 0}, {"ways": 0}, {"ways": 8 / 2}])
def test_numbers_out_of_range(arguments):
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        StartArchive(**arguments)
