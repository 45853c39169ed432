"""The imitation reward on all three shelves."""

from functools import partial

import ale_py
import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import AtariPreprocessing, MaxAndSkipObservation

from hxwrappers import FrameInInfo, YouTubeImitationReward, vector
from hxwrappers.bridge.imitation import FrameSource, steps_per_second
from hxwrappers.errors import (
    CheckpointError,
    InvalidArgumentError,
    VideoError,
)
from hxwrappers.video.checkpoints import Checkpoints
from tests.video.toys import PLACES, PlaceEmbedder, demonstration, make_walk

gym.register_envs(ale_py)
MODES = pytest.mark.parametrize("mode", list(AutoresetMode))


def wrapped(length=PLACES - 1, slips=0.0, seen=False, **settings):
    env = make_walk(length=length, slips=slips, seen=seen)
    settings = {"every": 4, "extrinsic_coefficient": 0.0, **settings}
    return YouTubeImitationReward(env, demonstration(), PlaceEmbedder(), **settings)


@pytest.fixture
def place_embedders(monkeypatch):
    """Files of embedders hold whatever embeds places."""
    monkeypatch.setattr("hxwrappers.bridge.imitation.Embedder", PlaceEmbedder)


def test_following_the_demonstration_pays_at_every_checkpoint_once():
    env = wrapped()
    for episode in range(2):
        env.reset(seed=episode)
        steps = [env.step(1) for _ in range(PLACES - 1)]
        assert [step for step, one in enumerate(steps, 1) if one[1]] == list(range(4, 40, 4))
        assert sum(one[1] for one in steps) == 0.5 * 9
        infos = [one[4] for one in steps]
        assert [info["imitation_checkpoint"] for info in infos[:9]] == [-1] * 3 + [0] * 4 + [1] * 2
        assert infos[-1]["imitation_share"] == 1.0
        assert all(info["extrinsic_reward"] == 1.0 for info in infos)
        assert all(info["intrinsic_reward"] == info["imitation_reward"] for info in infos)


def test_standing_still_and_going_back_earn_nothing():
    env = wrapped()
    env.reset(seed=0)
    assert sum(env.step(0)[1] for _ in range(10)) == 0
    assert sum(env.step(1)[1] for _ in range(4)) == 0.5
    assert sum(env.step(2)[1] for _ in range(4)) == 0
    assert sum(env.step(1)[1] for _ in range(4)) == 0, "each checkpoint pays once"
    assert sum(env.step(1)[1] for _ in range(4)) == 0.5


def test_both_rewards_and_their_coefficients():
    env = wrapped(coefficient=3.0, extrinsic_coefficient=2.0)
    env.reset(seed=0)
    steps = [env.step(1) for _ in range(4)]
    assert [one[1] for one in steps] == [2.0, 2.0, 2.0, 3.5]
    info = steps[-1][4]
    keys = ("extrinsic_reward", "intrinsic_reward", "reward_bonus")
    assert [info[key] for key in keys] == [1, 0.5, 2.5]


def test_progress_is_observed():
    env = wrapped(observe_progress=True)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert (observation["progress"] > 0.8).all()
    seen = [env.step(1)[0]["progress"] for _ in range(PLACES - 1)]
    assert seen[0][0] == pytest.approx(observation["progress"][0], abs=0.3)
    assert seen[2][0] > 0.5, "one place before the first checkpoint"
    assert seen[3][0] > 0.5, "the first is reached, the second is far"
    assert seen[-1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("frames", ["render", "info", "observation"])
def test_frames_from_everywhere_are_the_same(frames):
    env = make_walk(length=PLACES - 1, slips=0.0, seen=True)
    env = FrameInInfo(env) if frames == "info" else env
    env = YouTubeImitationReward(env, demonstration(), PlaceEmbedder(), every=4, frames=frames)
    env.reset(seed=0)
    assert [env.step(1)[4]["imitation_reward"] for _ in range(8)] == [0, 0, 0, 0.5] * 2


def test_stacks_and_parts_of_observations_as_frames():
    seen = make_walk(length=PLACES - 1, slips=0.0, seen=True)
    stacked = gym.wrappers.FrameStackObservation(seen, 3)
    pictures = gym.wrappers.AddRenderObservation(
        make_walk(length=PLACES - 1, slips=0.0), render_only=False
    )
    for below, frames in ((stacked, "observation"), (pictures, "observation:pixels")):
        env = YouTubeImitationReward(
            below, demonstration(), PlaceEmbedder(), every=4, frames=frames
        )
        env.reset(seed=0)
        assert sum(env.step(1)[4]["imitation_reward"] for _ in range(8)) == 1.0


def test_frames_that_are_none():
    blind = gym.make("HxWalk-v0")
    make = partial(YouTubeImitationReward, demonstration=demonstration(), embedder=PlaceEmbedder())
    with pytest.raises(InvalidArgumentError, match="render_mode"):
        make(blind)
    with pytest.raises(InvalidArgumentError, match="render_mode"):
        FrameInInfo(blind)
    with pytest.raises(InvalidArgumentError, match="no RGB frames"):
        make(blind, frames="observation")
    with pytest.raises(InvalidArgumentError, match="'observation:pov'"):
        make(blind, frames="observation:pov")
    both = spaces.Dict(pov=spaces.Box(0, 255, (9, 9, 3), np.uint8), clock=spaces.Box(0, 1))
    for space, name in ((both["pov"], "observation:pov"), (both, "observation:map")):
        with pytest.raises(InvalidArgumentError, match=name):
            FrameSource(name, space, can_render=True)
    assert FrameSource("observation:pov", both, can_render=True).kind == "observation"
    with pytest.raises(InvalidArgumentError, match="no frames from 'sound'"):
        make(blind, frames="sound")
    with pytest.raises(InvalidArgumentError, match="FrameInInfo"):
        make(blind, frames="info", every=4).reset()
    grey = gym.make_vec("ALE/Pong-v5", num_envs=2)
    for frames, error in (("observation", InvalidArgumentError), ("render", InvalidArgumentError)):
        with pytest.raises(error):
            vector.YouTubeImitationReward(
                grey, demonstration(), PlaceEmbedder(), every=4, frames=frames
            )


def test_settings_that_make_no_sense():
    for settings in (
        {"coefficient": -1.0},
        {"extrinsic_coefficient": float("inf")},
        {"every": 0},
        {"centre": "elsewhere"},
        {"speed": 3},
    ):
        with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
            wrapped(**settings)
    with pytest.raises(VideoError, match="at least 2"):
        wrapped(every=25)


def test_arguments_of_another_kind():
    with pytest.raises(VideoError, match=r"is None; it must be an Embedder, or the path"):
        YouTubeImitationReward(make_walk(), "clip.mp4", None)
    with pytest.raises(VideoError, match=r"is \[3\]; it must be Checkpoints"):
        YouTubeImitationReward(make_walk(), [3], PlaceEmbedder())


@pytest.mark.parametrize(
    ("make", "rate"),
    [
        (lambda: gym.make("ALE/Pong-v5"), 15.0),
        (lambda: gym.make("ALE/Pong-v5", frameskip=1), 60.0),
        (lambda: gym.make("ALE/Pong-v5", frameskip=(2, 5)), 60 / 3),  # 2, 3 or 4
        (lambda: AtariPreprocessing(gym.make("ALE/Pong-v5", frameskip=1)), 15.0),
        (lambda: MaxAndSkipObservation(gym.make("ALE/Pong-v5", frameskip=2), 3), 10.0),
        (make_walk, None),
    ],
)
def test_how_fast_an_environment_is(make, rate):
    found = steps_per_second(make())
    assert found is None if rate is None else found == pytest.approx(rate)


def test_another_rate_than_the_demonstrations():
    env = wrapped(length=100, steps_per_second=60.0)
    env.reset(seed=0)
    paid = 0.0
    for _ in range(PLACES - 1):
        paid += sum(env.step(action)[1] for action in (1, 0))
    assert paid == 0.5 * 9


def test_from_paths(tmp_path, place_embedders):
    embedder, clip = PlaceEmbedder(), demonstration()
    embedder.save(tmp_path / "embedder.safetensors")
    clip.save(tmp_path / "clip")
    track = Checkpoints.of(clip, embedder, every=4)
    track.save(tmp_path / "track.safetensors")
    for path in ("clip", "track.safetensors"):
        env = YouTubeImitationReward(
            make_walk(length=20, slips=0.0),
            tmp_path / path,
            tmp_path / "embedder.safetensors",
            every=4,
        )
        assert torch.equal(env.imitation.checkpoints.points, track.points)
        again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
        for one in (env, again):
            one.reset(seed=0)
        for _ in range(10):
            first, second = env.step(1), again.step(1)
            assert first[1:] == second[1:]
    with pytest.raises(CheckpointError, match="no checkpoint file"):
        YouTubeImitationReward(make_walk(), clip, tmp_path / "none.safetensors")


def test_from_a_video_file(tmp_path, monkeypatch):
    from hxwrappers.video.synthesis import Part, write_video  # noqa: PLC0415
    from tests.video.toys import picture  # noqa: PLC0415

    pytest.importorskip("av", reason="PyAV is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parts = (Part(picture(place, (42, 40))) for place in range(PLACES))
    write_video(tmp_path / "walk.mp4", parts, frames_per_second=15.0, size=(42, 40))
    env = YouTubeImitationReward(
        make_walk(length=PLACES, slips=0.0), tmp_path / "walk.mp4", PlaceEmbedder(), every=4
    )
    env.reset(seed=0)
    assert sum(env.step(1)[4]["imitation_reward"] for _ in range(PLACES - 1)) == 0.5 * 9


def batched(mode, *, vectors=SyncVectorEnv, number=3, seen=False, **settings):
    def make():
        env = make_walk(seen=seen)
        return env if seen else FrameInInfo(env)

    settings = {"every": 4, **settings, **({"frames": "observation"} if seen else {})}
    envs = vectors([make] * number, autoreset_mode=mode)
    return vector.YouTubeImitationReward(envs, demonstration(), PlaceEmbedder(), **settings)


@MODES
@pytest.mark.parametrize("progress", [False, True])
def test_one_forward_pass_a_step(mode, progress):
    envs = batched(mode, observe_progress=progress)
    envs.reset(seed=0)
    calls = envs.imitation.embedder.batches
    calls.clear()
    dummies = 0
    for _ in range(30):
        before = len(calls)
        *_, terminations, truncations, infos = envs.step(np.ones(3, np.int64))
        over = np.logical_or(terminations, truncations)
        real = infos["_imitation_reward"]
        dummies += int((~real).sum())
        beginning = over if mode is AutoresetMode.SAME_STEP else ~real
        expected = [int(real.sum())] if real.any() else []
        if progress and beginning.any():
            expected.append(int(beginning.sum()))
        assert calls[before:] == expected
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})
    assert (dummies > 5) == (mode is AutoresetMode.NEXT_STEP)


def test_worker_processes_give_the_same():
    here, there = (
        batched(AutoresetMode.NEXT_STEP, vectors=vectors, observe_progress=True)
        for vectors in (SyncVectorEnv, AsyncVectorEnv)
    )
    try:
        for envs in (here, there):
            envs.reset(seed=3)
        for _ in range(20):
            one, other = (envs.step(np.ones(3, np.int64)) for envs in (here, there))
            np.testing.assert_array_equal(one[0]["progress"], other[0]["progress"])
            np.testing.assert_array_equal(one[1], other[1])
    finally:
        there.close()


@MODES
@pytest.mark.parametrize("seen", [False, True])
def test_vector_save_and_go_on(mode, seen):
    straight, resumed = batched(mode, seen=seen), batched(mode, seen=seen)

    def play(envs, steps):
        rewards = []
        for _ in range(steps):
            _, reward, terminations, truncations, _ = envs.step(np.ones(3, np.int64))
            rewards.append(reward)
            over = np.logical_or(terminations, truncations)
            if mode is AutoresetMode.DISABLED and over.any():
                envs.reset(options={"reset_mask": over})
        return np.array(rewards)

    for envs in (straight, resumed):
        envs.reset(seed=5)
        play(envs, 13)
    state = straight.state_dict()
    resumed.imitation.begin(np.zeros((3, 42, 40, 3), np.uint8))
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(play(straight, 20), play(resumed, 20))
    with pytest.raises(CheckpointError):
        batched(mode, number=2, seen=seen).load_state_dict(state)


def test_final_observations_that_are_missing():
    envs = batched(AutoresetMode.NEXT_STEP, seen=True)
    envs._mode = AutoresetMode.SAME_STEP
    envs.reset(seed=0)
    steps = (envs.step(np.ones(3, np.int64)) for _ in range(20))
    with pytest.raises(InvalidArgumentError, match="final observation"):
        list(steps)
