"""That something is learned: memory with the LSTM in seconds; the rest is slow."""

from functools import partial

import numpy as np
import pytest

from hxwrappers.impala import Impala, ImpalaSettings
from tests.impala.tasks import make_tasks

pytestmark = pytest.mark.timeout(900)  # seconds on an idle machine


def score(task, steps, seed=0, **options) -> float:
    defaults = {
        "num_actors": 1,
        "batch_size": 8,
        "optimizer": "adam",
        "learning_rate": 3e-3,
        "learner_threads": 1,
    }
    settings = ImpalaSettings(**(defaults | options), seed=seed)
    run = Impala(partial(make_tasks, task, settings.envs_per_actor), settings)
    run.train(steps, progress=False)
    return float(np.mean([episode.score for episode in run.play(200, seed=1000)]))


def test_memory_is_learned_with_an_lstm():
    assert score("recall", 20_000, lstm=32, features=32) > 0.75  # seven deviations above chance


def test_memory_is_not_learned_without():
    assert score("recall", 4_000, features=32) < 0.65


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_cartpole(seed):
    assert score("cartpole", 150_000, seed) > 400


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_catch(seed):
    assert score("catch", 100_000, seed, learning_rate=1e-3) > 0.9
