"""Atari games side by side that can be frozen and restored."""

import os
import signal

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.envs import make_atari
from hxwrappers.envs.atari_games import GameSettings
from hxwrappers.envs.atari_vector import RestorableAtariVectorEnv
from hxwrappers.errors import InvalidArgumentError, WorkerError

roms = pytest.importorskip("ale_py.roms")
GAME = "montezuma_revenge"


def make(num_envs=2, num_workers=0, room_byte=None, game=GAME, **settings):
    rom = str(roms.get_rom_path(game))
    return RestorableAtariVectorEnv(rom, GameSettings(**settings), num_envs, num_workers, room_byte)


def actions(steps, num_envs, seed=0):
    return np.random.default_rng(seed).integers(0, 18, (steps, num_envs))


@pytest.mark.parametrize(
    ("game", "settings"),
    [
        (GAME, {}),
        (GAME, {"frame_stack": 2, "screen_size": 42}),
        (GAME, {"frame_skip": 1}),
        (GAME, {"terminal_on_life_loss": True}),
        (GAME, {"max_frames": 100}),
    ],
)
def test_a_game_is_what_the_single_environment_shows(game, settings):
    ours, theirs = make(1, game=game, **settings), make_atari(game, **settings)
    seen, _ = ours.reset(seed=0)
    wanted, _ = theirs.reset(seed=0)
    np.testing.assert_array_equal(seen[0], wanted)
    over = 0
    for action in actions(300, 1)[:, 0]:
        seen, reward, terminated, truncated, infos = ours.step(np.array([action]))
        wanted, reward_wanted, *ends, info = theirs.step(int(action))
        assert (reward[0], [terminated[0], truncated[0]]) == (reward_wanted, ends)
        if any(ends):
            over += 1
            # Gymnasium's newest frame of a last step is one of the step before.
            np.testing.assert_array_equal(infos["final_obs"][0][:-1], wanted[:-1])
            episode = {key: value[0] for key, value in infos["episode"].items()}
            assert (episode["r"], episode["l"]) == (info["episode"]["r"], info["episode"]["l"])
            wanted, _ = theirs.reset()
        np.testing.assert_array_equal(seen[0], wanted)
    assert over == 0 or settings


def test_what_a_game_does_depends_on_its_seed_alone():
    options = {"sticky_actions": 0.25, "noop_max": 30, "room_byte": 3}
    vectors = [make(5, workers, **options) for workers in (0, 1, 3)]
    starts = [envs.reset(seed=7)[0] for envs in vectors]
    assert not (starts[0][0] == starts[0][1]).all()  # as many idle frames would be chance
    for chosen in actions(40, 5):
        results = [envs.step(chosen) for envs in vectors]
        for seen, rewards, *_, infos in results[1:]:
            np.testing.assert_array_equal(seen, results[0][0])
            np.testing.assert_array_equal(rewards, results[0][1])
            np.testing.assert_array_equal(infos["room"], results[0][4]["room"])
    for envs in vectors:
        envs.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_restored_games_go_on_as_they_did(workers):
    envs = make(4, workers)
    envs.reset(seed=0)
    first = actions(60, 4, seed=1)
    for chosen in first[:30]:
        envs.step(chosen)
    frozen = envs.snapshot([1, 3])
    wanted = [envs.step(chosen)[0] for chosen in first[30:]]
    # Into other places, where other things happened since.
    shown = envs.restore([0, 2], frozen)
    np.testing.assert_array_equal(shown[0], frozen[0].observation)
    assert envs.ram().shape == (4, 128)
    for chosen, seen in zip(first[30:], wanted, strict=True):
        moved = chosen.copy()
        moved[[0, 2]] = chosen[[1, 3]]
        np.testing.assert_array_equal(envs.step(moved)[0][[0, 2]], seen[[1, 3]])
    envs.close()


def test_arrays_are_fresh():
    envs = make(2)
    kept, _ = envs.reset(seed=0)
    copy = kept.copy()
    envs.step(np.array([2, 3]))
    np.testing.assert_array_equal(kept, copy)


@pytest.mark.parametrize(
    "arguments", [{"num_envs": 0}, {"num_workers": -1}, {"room_byte": 128}, {"room_byte": -1}]
)
def test_numbers_out_of_range(arguments):
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        make(**arguments)


@pytest.mark.skipif(os.name == "nt", reason="processes are killed by a signal here")
def test_a_dead_process_is_named():
    envs = make(2, 2)
    envs.reset(seed=0)
    os.kill(envs._workers[1]._worker.pid, signal.SIGKILL)
    envs._workers[1]._worker.process.join()
    with pytest.raises(WorkerError, match="has died"):
        envs.step(np.array([0, 0]))
    envs.close()


def test_an_answer_that_nobody_took_is_not_that_of_a_later_call():
    envs = make(2, 2)
    envs.reset(seed=0)
    envs._workers[0].tell("snapshot", [0])  # as where Ctrl-C ends the wait for it
    envs.step(np.array([0, 0]))
    assert None not in envs.snapshot([0, 1])
    envs.close()


def test_there_is_nothing_before_a_reset():
    envs = make(1)
    for call in (lambda: envs.step(np.array([0])), lambda: envs.snapshot([0])):
        with pytest.raises(gym.error.ResetNeeded):
            call()


def test_the_first_reset_begins_all_games():
    envs = make(2)
    with pytest.raises(InvalidArgumentError, match="begins all games"):
        envs.reset(options={"reset_mask": np.array([True, False])})
