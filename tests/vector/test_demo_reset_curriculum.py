"""The curriculum for Atari games side by side, on the real game."""

import itertools
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import hxwrappers
from hxwrappers.curriculum import LocalStore, StartingPoint, SuccessTracker
from hxwrappers.demos import DemoRecording, shipped
from hxwrappers.envs import make_atari
from hxwrappers.errors import CheckpointError, DemoError, InvalidArgumentError
from hxwrappers.sb3 import from_vector_env
from hxwrappers.vector import DemoResetCurriculum

pytest.importorskip("ale_py")
GAME = "montezuma_revenge"
KEY = shipped("montezuma-first-key")
OF_A_START = ("starting_point", "demo", "near_start")


def games(num_envs=2, mode="Disabled", game=GAME, **settings):
    settings = {"terminal_on_life_loss": True, "num_workers": 0, **settings}
    return make_atari(
        game, num_envs=num_envs, backend="restorable", autoreset_mode=mode, **settings
    )


def tracker(*starts):
    made = SuccessTracker(KEY, store=LocalStore())
    if starts:
        draws = itertools.cycle(starts)
        made.draw = lambda *_: StartingPoint(0, next(draws))
    return made


@pytest.mark.parametrize(
    ("start", "mode"),
    [
        pytest.param(0, "Disabled", marks=pytest.mark.slow),
        pytest.param(130, "Disabled", marks=pytest.mark.slow),
        pytest.param(401, "SameStep", marks=pytest.mark.slow),
        (420, "Disabled"),
    ],
)
def test_an_episode_is_that_of_the_single_form(start, mode):
    rules = {"extra_steps": None, "allowed_lag": 50, "near_start_steps": 20}
    starts = (start, max(start - 1, 0))
    ours = DemoResetCurriculum(games(1, mode), KEY, tracker(*starts), **rules)
    single = partial(
        hxwrappers.DemoResetCurriculum,
        demo=KEY,
        tracker=tracker(*starts),
        replay_steps=16,
        replay_multiple=4,
        **rules,
    )
    theirs = hxwrappers.SkipReplayedSteps(make_atari(GAME, frame_wrapper=single))
    generator = np.random.default_rng(start)
    seen, infos = ours.reset(seed=0)
    wanted, info = theirs.reset(seed=0)
    for _ in range(120):
        np.testing.assert_array_equal(seen[0], wanted)
        assert [infos[key][0] for key in OF_A_START] == [info[key] for key in OF_A_START]
        action = int(generator.integers(18))
        seen, rewards, *ends, infos = ours.step(np.array([action]))
        wanted, reward, terminated, truncated, info = theirs.step(action)
        assert (rewards[0], *(end[0] for end in ends)) == (reward, terminated, truncated)
        if terminated or truncated:
            assert infos["is_success"][0] == info["is_success"]
            assert infos["attempt"][0] == info["attempt"] or info["attempt"] == "ended"
            assert infos["episode"]["r"][0] == 100 * info["is_success"]
            final = infos["final_info"]
            for key in (*OF_A_START, "lives", "is_success"):
                assert final[key][0] == info[key]
            # The next one begins at once, as in the reset of the other.
            assert infos["final_obs"][0].shape == (4, 84, 84)
            wanted, info = theirs.reset()
    assert ours.tracker.episodes == theirs.get_wrapper_attr("tracker").episodes


@pytest.mark.slow
def test_the_frontier_moves_back_as_the_games_succeed():
    envs = DemoResetCurriculum(games(8), KEY, window=16)
    envs.reset(seed=0)
    generator = np.random.default_rng(0)
    ends = []
    for _ in range(150):
        *_, infos = envs.step(generator.integers(0, 18, 8))
        ends += [each for each in infos.get("attempt", ()) if each is not None]
    assert envs.tracker.episodes == len(ends) > 30
    assert envs.tracker.frontiers[0] < 420  # from next to the key chance fetches it
    assert {"success", "lagging"} <= set(ends) <= {"success", "lagging", "life lost", "ended"}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["Disabled", "SameStep"])
def test_it_steps_aside(mode):
    envs = DemoResetCurriculum(games(2, mode, max_frames=40), KEY, tracker(), training=False)
    plain = games(2, "SameStep", max_frames=40)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    np.testing.assert_array_equal(envs.reset(seed=3)[0], plain.reset(seed=3)[0])
    for chosen in np.random.default_rng(0).integers(0, 18, (30, 2)):
        ours, theirs = envs.step(chosen), plain.step(chosen)
        for one, other in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(one, other)
        assert "starting_point" not in ours[4]
        assert ("episode" in ours[4]) == ("episode" in theirs[4])
    assert envs.tracker.episodes == 0


def test_a_mask_begins_episodes_of_some_games_alone():
    envs = DemoResetCurriculum(games(2), KEY, tracker(400, 410, 420))
    envs.reset(seed=0)
    before, *_, infos = envs.step(np.zeros(2, np.int64))
    assert infos["starting_point"].tolist() == [400, 410]
    after, infos = envs.reset(options={"reset_mask": np.array([True, False])})
    assert infos["starting_point"].tolist() == [420, 410]
    np.testing.assert_array_equal(after[1], before[1])
    assert (after[0] != before[0]).any()


@pytest.mark.slow
def test_a_seed_repeats_everything():
    def play():
        envs = DemoResetCurriculum(games(3, sticky_actions=0.25), KEY, tracker())
        observations, infos = envs.reset(seed=5)
        shown = [observations.sum()]
        for chosen in np.random.default_rng(1).integers(0, 18, (60, 3)):
            observations, *_, infos = envs.step(chosen)
            shown += [observations.sum(), *infos["starting_point"]]
        return shown

    assert play() == play()


@pytest.mark.slow
def test_it_goes_on_from_its_state():
    envs = DemoResetCurriculum(games(4), KEY, tracker())
    envs.reset(seed=0)
    for chosen in np.random.default_rng(1).integers(0, 18, (60, 4)):
        envs.step(chosen)
    other = DemoResetCurriculum(games(4), KEY, tracker())
    other.load_state_dict(envs.state_dict())
    assert other.tracker.episodes == envs.tracker.episodes > 0
    starts = [each.reset(options=None)[1]["starting_point"].tolist() for each in (envs, other)]
    assert starts[0] == starts[1]
    with pytest.raises(CheckpointError):
        other.load_state_dict({"generator": 3})


def test_games_in_flight_are_not_counted_in_a_table_that_is_loaded():
    envs = DemoResetCurriculum(games(2), KEY, tracker(420), allowed_lag=0)
    envs.reset(seed=0)
    envs.load_state_dict(envs.state_dict())

    ends = np.zeros(2, np.int64)
    while ends.min() < 2:
        *_, terminated, truncated, _ = envs.step(np.zeros(2, np.int64))
        ends += terminated | truncated
        assert envs.tracker.episodes == np.maximum(ends - 1, 0).sum()


def test_infos_of_an_end_and_of_the_next_start_are_told_apart():
    curriculum = DemoResetCurriculum(
        games(2), KEY, tracker(420, 410, 400), allowed_lag=8, near_start_steps=4
    )
    envs = from_vector_env(curriculum)
    envs.seed(0)
    envs.reset()
    starts = [info["starting_point"] for info in envs.reset_infos]
    changed = []
    while len(changed) < 12:
        *_, dones, infos = envs.step(np.zeros(2, np.int64))
        for lane, info in enumerate(infos):
            assert info["starting_point"] == starts[lane]
            assert ("attempt" in info) == ("is_success" in info) == ("episode" in info)
            assert ("attempt" in info) == dones[lane]
            if dones[lane]:
                begun = envs.reset_infos[lane]
                assert begun["starting_point"] == curriculum._starts[lane].step
                changed.append(begun["starting_point"] != starts[lane])
                assert (begun["near_start"], info["near_start"]) == (True, False)
                starts[lane] = begun["starting_point"]
    assert any(changed)


def _of_the_lake():
    recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
    recording.reset(seed=0)
    for action in (1, 1, 2, 1, 2, 2):
        recording.step(action)
    return recording.demo()


@pytest.mark.parametrize(
    ("make", "demo", "error", "words"),
    [
        (lambda: games(clip_rewards=True), KEY, InvalidArgumentError, "clip_rewards=False"),
        (lambda: make_atari(GAME, num_envs=2), KEY, InvalidArgumentError, "restorable"),
        (
            lambda: gym.make_vec("CartPole-v1", 2),
            KEY,
            InvalidArgumentError,
            "hxwrappers.DemoResetCurriculum",
        ),
        (lambda: games(game="breakout"), KEY, DemoError, "another game"),
        (games, _of_the_lake(), DemoError, "frame by frame"),
    ],
    ids=["clipped", "ale", "cart-pole", "breakout", "lake"],
)
def test_what_cannot_be_right_is_refused(make, demo, error, words):
    envs = make()
    with pytest.raises(error, match=words):
        DemoResetCurriculum(envs, demo)
    envs.close()
