import io

import gymnasium as gym
import numpy as np
import pytest
import torch
from ale_py import AtariVectorEnv
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from hxwrappers import StickyActions
from hxwrappers.bridge.actions import find_stickiness
from hxwrappers.envs import ATARI_PRESETS, RoomTracker, make_atari
from hxwrappers.errors import CheckpointError, InvalidArgumentError

# In gymnasium's checks these two are about wrappers in general.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is different from the unwrapped version", "ignore:.*Not able to test alternative"
)
SHAPES = {"plain": 84, "cnd": 96, "rnd": 84, "impala": 84}


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("plain", "rnd") else name
        for name in ATARI_PRESETS
    ],
)
def test_presets(preset):
    size = SHAPES[preset]
    env = make_atari("montezuma_revenge", preset=preset)
    check_env(env, skip_render_check=True)
    assert env.observation_space.shape == (4, size, size)
    for backend in ("ale", "sync"):
        envs = make_atari("montezuma_revenge", preset=preset, num_envs=2, backend=backend)
        assert envs.observation_space.shape == (2, 4, size, size)
        assert envs.single_observation_space == env.observation_space
        assert envs.single_action_space == env.action_space
        assert envs.unwrapped.autoreset_mode is AutoresetMode.SAME_STEP
        sticky = find_stickiness(envs)
        assert (sticky is not None) == (preset in ("cnd", "rnd"))
        envs.close()


@pytest.mark.parametrize("preset", ["cnd", pytest.param("impala", marks=pytest.mark.slow)])
def test_the_backends_play_the_same_game(preset):
    # Without coins and idle frames, of which each backend draws its own.
    plain = {"sticky_actions": 0.0, "noop_max": 0, "max_frames": 400}
    envs = [
        make_atari("montezuma_revenge", preset=preset, num_envs=2, backend=backend, **plain)
        for backend in ("ale", "sync")
    ]
    first, second = (each.reset(seed=1)[0] for each in envs)
    np.testing.assert_array_equal(first, second)
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(150):
        actions = rng.integers(0, 18, 2)
        one, other = (each.step(actions) for each in envs)
        for left, right in zip(one[:4], other[:4], strict=True):
            np.testing.assert_array_equal(left, right)
        done = one[2] | one[3]
        for lane in np.flatnonzero(done):
            finals = [out[4]["final_obs"][lane] for out in (one, other)]
            np.testing.assert_array_equal(*finals)
            assert one[4]["episode"]["l"][lane] == 100
            assert other[4]["final_info"]["episode"]["l"][lane] == 100
        ends += int(done.sum())
    assert ends == 2


def test_scores_stay_true_under_clipped_rewards():
    envs = make_atari("pong", preset="impala", num_envs=2, max_frames=1600)
    single = make_atari("assault", preset="impala", max_frames=2400)
    single.reset(seed=0)
    single.action_space.seed(0)
    clipped = score = 0.0
    for _ in range(700):
        _, reward, terminated, truncated, info = single.step(single.action_space.sample())
        clipped += reward
        if terminated or truncated:
            score = info["episode"]["r"]
            break
    assert score > clipped > 0
    assert (score % 21, clipped % 1) == (0, 0)
    envs.close()


def test_sticky_steps_come_from_our_wrapper_alone():
    for num_envs, backend in ((None, "ale"), (2, "ale"), (2, "sync")):
        options = {} if num_envs is None else {"backend": backend}
        env = make_atari("pong", preset="cnd", sticky_level="step", num_envs=num_envs, **options)
        env.reset(seed=0)
        action = 0 if num_envs is None else np.zeros(2, int)
        for _ in range(3):
            info = env.step(action)[4]
        assert "sticky_action" in info
        env.close()


@pytest.mark.slow
def test_async_backend():
    envs = make_atari(
        "montezuma_revenge", preset="plain", num_envs=1, backend="async", track_rooms=True
    )
    try:
        observations, infos = envs.reset(seed=1)
        assert observations.shape == (1, 4, 84, 84)
        assert infos["room"].tolist() == [1]
    finally:
        envs.close()


def test_metadata_is_not_shared_with_other_vector_envs():
    first = make_atari("pong", num_envs=2)
    AtariVectorEnv("pong", 2, autoreset_mode="NextStep")
    assert first.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize(
    "game", ["montezuma_revenge", "MontezumaRevenge", "ALE/MontezumaRevenge-v5"]
)
def test_spellings(game):
    assert make_atari(game).spec.id == "ALE/MontezumaRevenge-v5"


def test_the_spec_goes_through_json():
    env = make_atari("pitfall", preset="cnd", sticky_level="step", track_rooms=True)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, StickyActions)
    np.testing.assert_array_equal(env.reset(seed=3)[0], again.reset(seed=3)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"game": "montezuma"}, "no game 'montezuma'. Did you mean"),
        ({"game": "pong", "preset": "rdn"}, "no preset 'rdn'. Did you mean rnd"),
        ({"game": "pong", "frame_skp": 2}, "no setting 'frame_skp'. Did you mean frame_skip"),
        ({"game": "pong", "sticky_level": "never"}, "no sticky_level 'never'"),
        ({"game": "pong", "num_envs": 2, "backend": "threads"}, "no backend 'threads'"),
        ({"game": "pong", "num_envs": 2, "num_workers": 1}, "for the backend restorable"),
        ({"game": "pong", "num_envs": 2, "track_rooms": True}, 'Use backend="sync"'),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make_atari(**arguments)


def test_room_tracker_sees_the_ram():
    env = RoomTracker(gym.make("ALE/MontezumaRevenge-v5", repeat_action_probability=0.0))
    env.reset(seed=0)
    ram = env.unwrapped.ale.getRAM
    for room in (1, 2, 2, 7):
        env.unwrapped.ale.setRAM(3, room)
        info = env.step(0)[4]
        assert info["room"] == ram()[3]
    assert env.rooms == {1, 2, 7}
    assert info["rooms_visited"] == 3
    env.reset()
    assert env.rooms == {1, 2, 7}
    file = io.BytesIO()
    torch.save(env.state_dict(), file)
    file.seek(0)
    other = RoomTracker(gym.make("ALE/MontezumaRevenge-v5"))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.rooms == {1, 2, 7}
    with pytest.raises(CheckpointError, match="list of room numbers"):
        other.load_state_dict({})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RoomTracker(gym.make("CartPole-v1")), "no Atari emulator"),
        (lambda: RoomTracker(gym.make("ALE/Pong-v5")), "Pass ram_byte"),
        (lambda: RoomTracker(gym.make("ALE/Pong-v5"), 128), "bytes 0 to 127"),
    ],
)
def test_room_tracker_refuses(make, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make()


def test_a_lost_life_ends_the_episode_in_both_backends():
    settings = {"terminal_on_life_loss": True, "num_envs": 1, "sticky_actions": 0.0}
    lengths = []
    for backend in ("ale", "sync"):
        envs = make_atari("breakout", backend=backend, **settings)
        envs.reset(seed=0)
        ends = []
        for step in range(200):
            _, _, terminated, _, info = envs.step(np.array([step % 2]))
            if terminated[0]:
                ends.append(step)
                assert info["lives"][0] == 5 or info["final_info"]["lives"][0] == 4
        lengths.append(np.diff(ends).tolist())
        envs.close()
    assert lengths[0] == lengths[1]
    assert len(lengths[0]) > 2
