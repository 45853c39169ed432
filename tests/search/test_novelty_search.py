"""The search by novelty as a whole: what it finds, that it repeats itself, and can be resumed."""

import multiprocessing
import os
import signal
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.errors import CheckpointError, DemoError, InvalidArgumentError
from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.search.cells import Limits
from hxwrappers.search.cells.archive import Node
from hxwrappers.search.explorer import NoveltySearchSettings
from hxwrappers.search.search import NoveltySearch
from tests.search.cells import toys

MONTEZUMA = NoveltySearchSettings("ALE/MontezumaRevenge-v5", explore=20, batch=2, siblings=3)


class Corridor(gym.Env[np.ndarray, np.ndarray]):
    """A point that is pushed; 3 to the right of where it began it is paid once, at 6 it ends."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.paid = np.zeros(2, np.float32), False
        return self._seen(), {}

    def step(self, action):
        self.place = np.maximum(self.place + 0.3 * np.asarray(action, np.float32), -2)
        pays = not self.paid and self.place[0] >= 3
        self.paid = self.paid or bool(pays)
        return self._seen(), float(pays), bool(self.place[0] >= 6), False, {}

    def _seen(self):
        return np.array([*self.place, self.paid], np.float32)


gym.register("tests/Corridor-v0", entry_point=Corridor)
CORRIDOR = "tests.search.test_novelty_search:tests/Corridor-v0"


def row(**changes):
    return NoveltySearchSettings(toys.ENV_ID, **{"explore": 10, "siblings": 3, **changes})


def contents(search):
    """All that a search knows, as plain values."""
    entries = [*search.population.entries, search.best]
    return (
        [(entry.score, entry.length, entry.lives, entry.node.trajectory()) for entry in entries],
        search.population.vectors.tolist(),
        search.population.visits.tolist(),
        search.population.spacing,
        search._groups._turns,
        search.progress.steps,
        search.progress.falls,
        search._generator.bit_generator.state,
    )


def test_the_row():
    search = NoveltySearch(row())
    progress = search.run(Limits(score=6, steps=50_000))
    assert progress.score == 6
    assert progress.ended
    assert len(search.demo()) == search.best.length
    assert search.demo(shorten_steps=20_000).actions.tolist() == [8] * 15
    assert search.demo(end=True).terminations[-1]
    assert max(search.population.scores) == 1  # what ended is a way, not a state to go on from


def test_actions_that_are_arrays():
    search = NoveltySearch(NoveltySearchSettings(CORRIDOR))
    progress = search.run(Limits(end=True, steps=200_000))
    assert progress.ended
    assert progress.score == 1
    demo = search.demo(end=True)
    assert demo.terminations[-1]
    assert demo.actions.shape == (len(demo), 2)
    assert demo.actions.dtype == np.float32
    assert demo.verify(gym.make("tests/Corridor-v0")).ok


@pytest.mark.parametrize("name", ["MountainCar-v0", "MountainCarContinuous-v0"])
def test_goals_that_pay_nothing(name):
    search = NoveltySearch(NoveltySearchSettings(name))
    assert search.run(Limits(end=True, steps=100_000)).ended
    demo = search.demo(end=True)
    assert demo.terminations[-1]


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (row(), 600),
        (row(novelty=1.0), 150),
        (NoveltySearchSettings(CORRIDOR), 3000),
        pytest.param(MONTEZUMA, 2500, marks=pytest.mark.slow),
    ],
    ids=["row", "guided", "corridor", "montezuma"],
)
def test_resumed_is_straight_through(settings, steps, tmp_path):
    straight = NoveltySearch(settings)
    straight.run(Limits(steps=2 * steps))
    file = tmp_path / "search.safetensors"
    NoveltySearch(settings, checkpoint=file).run(Limits(steps=steps))
    resumed = NoveltySearch(settings, checkpoint=file)
    assert resumed.progress.steps >= steps
    resumed.run(Limits(steps=2 * steps))
    assert contents(resumed) == contents(straight)
    assert contents(NoveltySearch(settings, checkpoint=file)) == contents(straight)


@pytest.mark.parametrize("settings", [row(), NoveltySearchSettings(CORRIDOR)])
def test_a_search_goes_on_from_a_way(settings, tmp_path):
    first = NoveltySearch(settings)
    first.run(Limits(steps=50_000, score=1))
    way = first.shortened(first.best, 2_000)
    packed = way.node.trajectory()
    search = first.from_way(packed)
    assert (search.best.score, search.best.length) == (way.score, way.length)
    assert search.best.node.trajectory() == packed
    entries = search.population.entries
    assert len(entries) > 1
    assert all(packed.startswith(entry.node.trajectory()) for entry in entries)
    assert max(entry.score for entry in entries) == way.score
    assert search.progress.steps == 0
    search.run(Limits(steps=500))
    search.save(tmp_path / "search.safetensors")
    resumed = NoveltySearch(settings, checkpoint=tmp_path / "search.safetensors")
    for one in (search, resumed):
        one.run(Limits(steps=1_000))
    assert contents(resumed) == contents(search)
    other = search.again()
    assert other.best.node.trajectory() == packed
    other.run(Limits(steps=1_000))
    assert contents(other) != contents(search)
    # What a way has in common with the first one is not shortened.
    size = search._explorer.actions.size
    half = packed[: len(packed) // size // 2 * size]
    longer = Node(Node(None, half), packed[-size:] * 3)
    for one in (search, resumed):
        assert one._kept(replace(way, node=longer)) >= len(half) // size
    assert first._kept(way) == 0


def test_another_seed_is_another_search():
    searches = [NoveltySearch(row(seed=seed)) for seed in (0, 1)]
    for search in searches:
        search.run(Limits(steps=300))
    assert contents(searches[0]) != contents(searches[1])


@pytest.mark.slow
def test_several_workers_one_of_which_dies():
    search = NoveltySearch(row(), workers=2)
    killed = []

    def kill_one(progress):
        if not killed:
            child = multiprocessing.active_children()[0]
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        if progress.workers_lost and progress.score == 6:
            search.stop()

    progress = search.run(Limits(seconds=250), kill_one)
    assert progress.workers_lost == 1
    assert search.demo().score == 6
    assert not multiprocessing.active_children()


def test_what_is_doomed_does_not_join():
    search = NoveltySearch(row(explore=200, repeat=1.0, doomed=3, note_every=1))
    search.run(Limits(steps=4000))
    assert {entry.lives for entry in search.population.entries} == {2}
    places = {
        5 + 2 * sum(entry.node.trajectory()[::2]) - entry.length
        for entry in search.population.entries
    }
    assert min(places) == 3


def test_checkpoints_of_other_searches_and_damaged_ones(tmp_path):
    file = tmp_path / "search.safetensors"
    NoveltySearch(row(), checkpoint=file).run(Limits(steps=300))
    with pytest.raises(
        DemoError, match=r"search\.safetensors is of .* what differs is seed, siblings"
    ):
        NoveltySearch(row(seed=3, siblings=5), checkpoint=file)
    state = load_checkpoint(file, "NoveltySearch")
    population = state["population"]
    for damage in (
        {"population": {**population, "vectors": torch.zeros(2, 2)}},
        {"population": {**population, "nearest": population["nearest"] + 99}},
        {"population": {}},
        {"groups": {}},
        {"groups": {**state["groups"], "scenes": state["groups"]["scenes"] + 9}},
        {"scale": {**state["scale"], "mean": torch.zeros(2)}},
        {"best": {}},
        {"way": None},
        {"steps": None},
    ):
        save_checkpoint(file, "NoveltySearch", {**state, **damage})
        with pytest.raises(CheckpointError, match=r"damaged|could not be restored"):
            NoveltySearch(row(), checkpoint=file)


def test_a_reward_of_ones_own():
    settings = NoveltySearchSettings(
        "MountainCar-v0", reward="tests.search.test_novelty_search:height"
    )
    search = NoveltySearch(settings)
    assert search.run(Limits(score=0.1, steps=50_000)).score >= 0.1
    assert len(search.demo()) == search.best.length
    with pytest.raises(DemoError, match=r"reward function .*broken failed: ZeroDivision"):
        NoveltySearch(
            NoveltySearchSettings("CartPole-v1", reward="tests.search.test_novelty_search:broken")
        ).run(Limits(steps=100))
    with pytest.raises(DemoError, match="has no function 'missing' for a reward"):
        NoveltySearch(
            NoveltySearchSettings("CartPole-v1", reward="tests.search.test_novelty_search:missing")
        )


def height(env, observation, reward):
    """Pays once for the right half of the way up."""
    return float(observation[0] > 0.1 and observation[1] > 0) / 10


def broken(env, observation, reward):
    return 1 / 0


@pytest.mark.parametrize(
    "changes",
    [
        {"siblings": 2},
        {"note_every": 0},
        {"groups": 2},
        {"novelty": -1},
        {"population": 3},
        {"growth": 0},
        {"explore": 0},
    ],
)
def test_settings_out_of_range(changes):
    with pytest.raises(InvalidArgumentError):
        NoveltySearch(row(**changes))
