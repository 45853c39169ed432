"""How a population spreads, and what it keeps."""

import numpy as np
import pytest

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.search.cells.archive import Entry, Node
from hxwrappers.search.population import Population


def way(score=0.0, length=1):
    return Entry(score, length, None, Node(None, b""), b"state")


def vector(*numbers):
    return np.array(numbers, np.float32)


def spread(population):
    """The least distance of each state to another, found by hand."""
    distances = np.linalg.norm(population.vectors[:, None] - population.vectors, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_it_covers_what_was_seen_evenly_and_knows_its_neighbours(seed):
    generator = np.random.default_rng(seed)
    population = Population(2, 64, 1)
    # Almost all that is seen lies in one corner; the population spreads over the rest too.
    seen = np.concatenate([generator.random((3000, 2)) * 0.1, generator.random((300, 2))])
    for place in generator.permutation(seen).astype(np.float32):
        population.offer(place, way(), 10_000)
    assert len(population) == 64
    in_corner = (population.vectors < 0.1).all(axis=1).sum()
    assert in_corner < 10
    assert spread(population).min() > 0.05
    assert population._nearest_distance[:64] == pytest.approx(spread(population), abs=1e-3)


def test_equal_states_are_one():
    population = Population(40, 512, 1)
    seen = np.random.default_rng(0).normal(size=(12, 40)).astype(np.float32) * 10
    for _ in range(3):
        for place in seen:
            population.offer(place.copy(), way(), 10_000)
    assert len(population) == 12


def test_it_grows_with_the_explorations():
    population = Population(1, 100, 10)
    for number in range(300):
        population.offer(vector(number), way(), 0)
    assert len(population) == 64
    for number in range(300):
        population.offer(vector(number + 0.5), way(), 800)
    assert len(population) == 80
    for number in range(3000):
        population.offer(vector(number * 1.1), way(), 10**6)
    assert len(population) == 100


def test_of_two_alike_the_one_that_leads_is_kept():
    population = Population(1, 64, 1)
    for number in range(64):
        population.offer(vector(10.0 * number), way(score=number % 2), 0)
    population.offer(vector(631.0), way(score=5.0), 0)  # 1 from the last: nearer than any two
    assert 5.0 in population.scores
    assert len(population) == 64
    assert 631.0 not in population.vectors  # the place stays, the way to it is another
    assert population.offer(vector(1000.0), way(score=0.0), 0)[1]
    assert 5.0 in population.scores


def test_visits():
    population = Population(1, 64, 1)
    population.offer(vector(0.0), way(length=9), 0)
    population.offer(vector(100.0), way(), 0)
    population.visit(0, 6)
    population.offer(vector(0.0), way(length=8), 0)
    assert population.visits.tolist() == [6, 0]  # a shorter way to the same place
    population.offer(vector(30.0), way(), 0)
    assert 0 < population.visits[2] < 6  # near a place that is known well
    population.offer(vector(-900.0), way(), 0)
    assert population.visits[3] == 0
    population.offer(vector(0.0), way(score=1.0), 0)
    assert population.visits[0] == 0  # a higher score makes it new


def test_rescaled():
    generator = np.random.default_rng(0)
    population = Population(2, 64, 1)
    for place in generator.random((200, 2)).astype(np.float32):
        population.offer(place, way(), 0)
    before = population.vectors.copy()
    population.rescale(vector(10.0, 0.1))
    assert population.vectors == pytest.approx(before * [10.0, 0.1])
    assert population._nearest_distance[:64] == pytest.approx(spread(population), abs=1e-2)


def test_what_it_gave_it_becomes_again():
    generator = np.random.default_rng(0)
    one, other = (Population(2, 70, 2) for _ in range(2))
    places = generator.random((400, 2)).astype(np.float32)
    for number, place in enumerate(places[:200]):
        one.offer(place, way(number % 3), number)
    other.load_state_dict(one.state_dict(), 2)
    for number, place in enumerate(places[200:], 200):
        assert one.offer(place, way(number % 3), number) == other.offer(
            place, way(number % 3), number
        )
    assert (one.vectors == other.vectors).all()
    with pytest.raises(ValueError, match="not as many"):
        Population(3, 70, 2).load_state_dict(one.state_dict(), 2)


@pytest.mark.parametrize(("capacity", "growth"), [(63, 1), (64, 0)])
def test_out_of_range(capacity, growth):
    with pytest.raises(InvalidArgumentError, match="cannot explore"):
        Population(1, capacity, growth)
