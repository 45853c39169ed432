"""The search as a whole: what it finds, that it repeats itself, and that it can be resumed."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from hxwrappers.errors import CheckpointError, DemoError, InvalidArgumentError
from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings
from tests.search.cells import toys

MONTEZUMA = SearchSettings(
    "ALE/MontezumaRevenge-v5", cells=CellSettings("montezuma", bin_x=8, bin_y=8), explore=30
)


def contents(search):
    """All that a search knows, as plain values."""
    entries = [*search.archive.entries, search.best]
    return (
        search.archive.cells,
        [(entry.score, entry.length, entry.lives, entry.node.trajectory()) for entry in entries],
        search.archive.visits.tolist(),
        search.rooms,
        search.progress.steps,
        search.progress.explorations,
        search._generator.bit_generator.state,
    )


def test_the_row():
    search = Search(toys.settings())
    progress = search.run(Limits(score=6))
    assert progress.score == 6
    assert search.best.length == 15
    assert 20 not in search.archive.cells  # there the episode ends
    lengths = {
        cell: entry.length
        for cell, entry in zip(search.archive.cells, search.archive.entries, strict=True)
    }
    assert lengths[6] == 1 or search.archive.get(6).score == 1
    demo = search.demo()
    assert demo.actions.tolist() == [8] * 15
    assert demo.terminations[-1]
    assert demo.metadata.made_by["search"]["seed"] == 0
    assert demo.metadata.made_by["search_steps"] == progress.steps


def test_a_lost_life_ends_an_exploration():
    search = Search(toys.settings(explore=200, repeat=1.0, doomed=0))
    search.run(Limits(steps=2000))
    assert {entry.lives for entry in search.archive.entries} == {2}
    assert set(search.archive.cells) == set(range(1, 20))


def test_what_was_found_just_before_a_lost_life_is_forgotten():
    search = Search(toys.settings(explore=200, repeat=1.0, doomed=3))
    search.run(Limits(steps=2000))
    assert set(search.archive.cells) == set(range(3, 20))


def test_what_was_found_just_before_the_last_life_is_forgotten(monkeypatch):
    search = Search(toys.settings(env_args={"lives": 1}, explore=200, repeat=1.0, doomed=3))
    explore, ended = search._explorer.explore, []

    def noted(*start):
        exploration = explore(*start)
        ended.extend([exploration] if exploration.fell else [])
        return exploration

    monkeypatch.setattr(search._explorer, "explore", noted)
    search.run(Limits(steps=2000))
    assert set(search.archive.cells) == set(range(3, 20))
    assert len(ended) > 5
    for exploration in ended:  # the way to the end is whole
        assert exploration.findings[-1].terminated
        packed = b"".join(found.actions for found in exploration.findings)
        assert len(packed) == exploration.steps * search._explorer.actions.size


def test_held_actions():
    search = Search(toys.settings(hold=3))
    search.run(Limits(score=6))
    assert set(search.archive.cells) <= {2, 5, 8, 11, 14, 17}
    assert len(search.demo()) == search.best.length


@pytest.mark.parametrize("hold", [1, 3])
def test_rewards_that_are_no_whole_numbers(hold):
    cells = CellSettings("observation")
    search = Search(SearchSettings("tests.search.cells.toys:tests/Drip-v0", {}, cells, hold=hold))
    search.run(Limits(steps=2000))
    assert search.demo().score == pytest.approx(6.0)


@pytest.mark.parametrize(
    "settings",
    [toys.settings(), pytest.param(MONTEZUMA, marks=pytest.mark.slow)],
    ids=["row", "montezuma"],
)
def test_resumed_is_straight_through(settings, tmp_path):
    steps = 400 if settings.env_id == toys.ENV_ID else 8000
    straight = Search(settings)
    straight.run(Limits(steps=2 * steps))
    file = tmp_path / "search.safetensors"
    Search(settings, checkpoint=file).run(Limits(steps=steps))
    resumed = Search(settings, checkpoint=file)
    assert resumed.progress.steps >= steps
    resumed.run(Limits(steps=2 * steps))
    assert contents(resumed) == contents(straight)
    assert contents(Search(settings, checkpoint=file)) == contents(straight)


def test_another_seed_is_another_search():
    one, other = (Search(toys.settings(seed=seed)) for seed in (0, 1))
    for search in (one, other):
        search.run(Limits(steps=300))
    assert contents(one) != contents(other)


def test_checkpoints_of_other_searches_and_damaged_ones(tmp_path):
    file = tmp_path / "search.safetensors"
    Search(toys.settings(), checkpoint=file).run(Limits(steps=100))
    with pytest.raises(
        DemoError, match=r"search\.safetensors is of .* what differs is seed, explore"
    ):
        Search(toys.settings(seed=3, explore=5), checkpoint=file)
    state = load_checkpoint(file, "Search")
    for damage in (
        {"archive": {**state["archive"], "parents": state["archive"]["parents"] + 5}},
        {"best": {}},
        {"archive": {**state["archive"], "cells": torch.zeros(3, dtype=torch.uint8)}},
        {"archive": {}},
        {"reference": None},
        {"generator": {}},
        {"steps": None},
    ):
        save_checkpoint(file, "Search", {**state, **damage})
        with pytest.raises(CheckpointError, match=r"damaged|could not be restored"):
            Search(toys.settings(), checkpoint=file)


def test_minigrid():
    pytest.importorskip("minigrid")
    settings = SearchSettings("MiniGrid-DoorKey-5x5-v0", cells=CellSettings("minigrid"), explore=20)
    search = Search(settings)
    assert search.run(Limits(score=0.5, steps=40_000)).score >= 0.5
    demo = search.demo()
    assert demo.ended
    assert demo.verify(gym.make("MiniGrid-DoorKey-5x5-v0")).ok


@pytest.mark.slow
def test_frames_of_what_is_rendered():
    settings = SearchSettings("CliffWalking-v1", cells=CellSettings("frame", 12, 8, 16), explore=10)
    pytest.importorskip("pygame")
    search = Search(settings)
    search.run(Limits(steps=400))
    assert 10 < len(search.archive) <= 48


def test_environments_that_cannot_be_searched():
    for name, message in (
        ("tests/Silent-v0", "draws from spaces"),
        ("tests/Uncopyable-v0", "too slow for a search"),
        ("tests/Nothing-v0", "cannot be made"),
    ):
        with pytest.raises(DemoError, match=message):
            Search(SearchSettings(name, cells=CellSettings("observation")))
    sticky = SearchSettings("ALE/Pong-v5", {"repeat_action_probability": 0.25})
    assert Search(sticky).progress.cells == 1
    for changes in ({"explore": 0}, {"batch": 0}, {"repeat": 1.5}, {"hold": 0}, {"seed": -1}):
        with pytest.raises(InvalidArgumentError):
            toys.settings(**changes)
    with pytest.raises(InvalidArgumentError):
        Search(toys.settings(), workers=0)


def test_stopped_from_outside():
    search = Search(toys.settings())
    calls = []

    def stop_soon(progress):
        calls.append(progress)
        if len(calls) == 3:
            search.stop()

    search.run(Limits(), stop_soon)
    assert len(calls) == 3


def test_rooms():
    search = Search(toys.settings("tests.search.cells.toys:tens"))
    assert search.run(Limits(rooms=2)).rooms == 2
    assert search.demo(room=2).score == 1
    into_second = search.demo(room=2, shorten_steps=10_000)
    assert into_second.actions.tolist() == search.demo(room=2).actions.tolist()
    assert len(search.demo(room=1)) == 0 or search.demo(room=1).score == 1
    with pytest.raises(InvalidArgumentError, match="2 rooms are known"):
        search.demo(room=3)


@pytest.mark.slow
def test_sizes_on_disk_stay_small(tmp_path):
    file = tmp_path / "search.safetensors"
    search = Search(MONTEZUMA, checkpoint=file)
    search.run(Limits(steps=10_000))
    packed = [len(entry.snapshot) for entry in search.archive.entries]
    assert np.mean(packed) < 600
    assert file.stat().st_size < 100_000 + 1000 * len(packed)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_memory_is_bounded(workers):
    settings = SearchSettings(
        "MountainCarContinuous-v0", cells=CellSettings("observation"), memory=0.05
    )
    search = Search(settings, workers=workers)
    most = []
    search.run(Limits(steps=4000), lambda _: most.append(search.archive.size))
    assert max(most) <= 0.05e6
    assert len(search.archive) > 10
    assert search.progress.cells == len(search.archive.entries)
    assert len(search.demo()) == search.best.length
    with pytest.raises(InvalidArgumentError, match="more than 0 MB"):
        SearchSettings("CartPole-v1", memory=0)


def test_what_was_dropped_in_one_run_can_be_found_in_the_next():
    cells = CellSettings("observation")
    search = Search(SearchSettings("MountainCarContinuous-v0", cells=cells, memory=0.03))
    for steps in (2000, 4000, 6000):
        search.run(Limits(steps=steps))
        pending = set(search._worker_states[0].forgotten or ())
        assert set(search._explorer._known) - pending == set(search.archive.cells)


@pytest.mark.slow
def test_cells_that_adapt(tmp_path, monkeypatch):
    monkeypatch.setattr("hxwrappers.search.cells.search._FIRST", 32)
    pytest.importorskip("ale_py")
    # Two columns of two greys tell nothing apart on this screen; the search finds that out.
    cells = CellSettings("adaptive", 2, 2, 2)
    settings = SearchSettings("ALE/Venture-v5", cells=cells, explore=20)
    straight = Search(settings)
    straight.run(Limits(steps=2000))
    before = len(straight.archive)
    straight.run(Limits(steps=9000))
    assert straight._adaptation.size != (2, 2, 2)
    assert len(straight.archive) > 2 * before
    assert {bytes(cell[:3]) for cell in straight.archive.cells} == {
        bytes(straight._adaptation.size)
    }
    file = tmp_path / "search.safetensors"
    Search(settings, checkpoint=file).run(Limits(steps=6000))
    resumed = Search(settings, checkpoint=file)
    resumed.run(Limits(steps=9000))
    assert contents(resumed) == contents(straight)
    assert resumed.demo().score == resumed.best.score
