"""Cell functions, ready-made and of one's own, and what is said of bad ones."""

import zlib

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.search.cells import (
    CellSettings,
    FrameCells,
    GridCells,
    Limits,
    MontezumaCells,
    Search,
)
from hxwrappers.search.cells.cells import (
    AdaptiveFrameCells,
    FrameSize,
    checked_cell,
    choose_size,
    make_cells,
)
from tests.demos.samples import frame_env
from tests.search.cells.toys import settings

TOYS = "tests.search.cells.toys:"


def test_frames_are_averaged_and_cut_in_levels():
    frame = np.zeros((32, 32), np.uint8)
    frame[:16, :16] = 255
    frame[16:, 16:24] = 200
    cells = FrameCells(width=2, height=2, depth=4)
    assert list(cells(gym.Env(), frame)) == [3, 0, 0, 1]
    assert cells(gym.Env(), frame) == cells(gym.Env(), np.stack([frame] * 3, axis=2))
    assert list(FrameCells(3, 1, 256)(gym.Env(), np.full((17, 16), 77, np.uint8))) == [77] * 3


def test_frames_of_a_game_are_those_of_its_grey_observations():
    colour, grey = frame_env(), frame_env(obs_type="grayscale")
    for env in (colour, grey):
        env.reset(seed=0)
    cells = FrameCells()
    pairs = [(cells(colour, colour.step(2)[0]), cells(grey, grey.step(2)[0])) for _ in range(100)]
    same = [np.mean(np.frombuffer(a, np.uint8) == np.frombuffer(b, np.uint8)) for a, b in pairs]
    assert np.mean(same) > 0.95
    assert len({one for one, _ in pairs}) > 1


def test_frames_of_a_game_that_shows_its_ram_are_those_of_its_screen():
    ram, grey = frame_env(obs_type="ram"), frame_env(obs_type="grayscale")
    for env in (ram, grey):
        env.reset(seed=0)
    cells = FrameCells()
    pairs = [(cells(ram, ram.step(2)[0]), cells(grey, grey.step(2)[0])) for _ in range(60)]
    assert all(one == other for one, other in pairs)
    assert len({one for one, _ in pairs}) > 1


@pytest.mark.parametrize("sizes", [(0, 8, 8), (8, 0, 8), (8, 8, 1), (8, 8, 257), (257, 8, 8)])
def test_sizes_out_of_range(sizes):
    with pytest.raises(InvalidArgumentError, match="make no cells"):
        FrameCells(*sizes)


def test_montezuma():
    env = frame_env("MontezumaRevenge", obs_type="ram")
    env.reset(seed=0)
    cells = MontezumaCells(env, 8, 16)
    ram = env.unwrapped.ale.getRAM()
    cell = cells(env, None)
    assert cell == (0, 1, 0, ram[42] // 8, ram[43] // 16)
    assert cells.room(cell) == (0, 1)
    with pytest.raises(DemoError, match=r"the environment is pong"):
        MontezumaCells(frame_env())
    with pytest.raises(InvalidArgumentError):
        MontezumaCells(env, 0, 8)


def test_minigrid():
    pytest.importorskip("minigrid")
    env = gym.make("MiniGrid-DoorKey-5x5-v0")
    env.reset(seed=0)
    cells = GridCells(env)
    before = cells(env, None)
    env.step(0)
    after = cells(env, None)
    assert before[:2] == after[:2]
    assert before[2] != after[2]
    assert before[4] == after[4]
    with pytest.raises(DemoError, match="for MiniGrid tasks"):
        GridCells(gym.make("CartPole-v1"))


def test_a_function_of_ones_own():
    search = Search(settings(TOYS + "tens"))
    search.run(Limits(score=1))
    assert search.rooms == [False, True]
    assert all(type(cell[0]) is int for cell in search.archive.cells)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pictures", "There are no cells called 'pictures'"),
        ("no.such.module:cell", "cannot be imported: No module named 'no'"),
        (TOYS + "missing", "has no function 'missing'"),
        (TOYS + "no_function", "has no function 'no_function'"),
        (TOYS + "failing", "The cell function failing failed: RuntimeError: eight"),
        (TOYS + "unhashable", "returned a list"),
        (TOYS + "an_array", "returned a ndarray"),
        (TOYS + "an_object", "returned a object"),
        ("frame", "no pictures and the environment does not render"),
        ("minigrid", "for MiniGrid tasks"),
        ("montezuma", "read the RAM of Montezuma's Revenge"),
    ],
)
def test_bad_cells_are_named(kind, message):
    with pytest.raises(DemoError, match=message):
        Search(settings(kind)).run(Limits(steps=2000))


def test_plain_cells_stay_what_they_are():
    for cell in (None, 3, "a", b"a", 1.5, True, (1, ("x", None))):
        assert checked_cell(cell, make_cells(CellSettings(), gym.Env())) == cell


def pictures(places, noise=0):
    """A bright square of 8 pixels at each of the places on a dark ground."""
    generator = np.random.default_rng(0)
    for x, y in places:
        frame = np.full((84, 84), 20, np.uint8)
        frame[y : y + 8, x : x + 8] = 200
        frame = frame + generator.integers(0, noise + 1, frame.shape, np.uint8)
        yield zlib.compress(frame.tobytes())


def test_about_an_eighth_of_the_sample_is_told_apart():
    places = np.random.default_rng(1).integers(0, 76, (200, 2))
    for noise in (0, 8):
        sample = list(pictures(places, noise))
        cells = AdaptiveFrameCells(choose_size(sample, np.random.default_rng(2)))
        assert 10 <= len({cells.of(picture) for picture in sample}) <= 60


def test_the_same_picture_again_and_again_has_a_size_too():
    sample = list(pictures([(5, 5)] * 20))
    assert choose_size(sample, np.random.default_rng(0))


def test_damaged_pictures():
    cells = AdaptiveFrameCells(FrameSize(4, 4, 4))
    for damaged in (b"", b"no picture", zlib.compress(b"short")):
        with pytest.raises(DemoError, match="damaged"):
            cells.of(damaged)
