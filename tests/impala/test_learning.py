"""That something is learned: memory with the LSTM in seconds; the rest is slow."""

import pytest

from tests.impala.tasks import LEARNED, score

pytestmark = pytest.mark.timeout(900)  # seconds on an idle machine


def learned(task, seed=0):
    steps, settings = LEARNED[task]
    return score(task, steps, seed, **settings)


@pytest.mark.slow
def test_memory_is_learned_with_an_lstm():
    assert learned("recall") > 0.75  # seven deviations above chance


def test_memory_is_not_learned_without():
    assert score("recall", 4_000, features=32) < 0.65


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_cartpole(seed):
    assert learned("cartpole", seed) > 400


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_catch(seed):
    assert learned("catch", seed) > 0.9
