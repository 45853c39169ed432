"""Demonstrations: their steps, their files, returning to them, checking them."""

import json
import pickle
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.wrappers import FrameStackObservation, MaxAndSkipObservation, TimeLimit

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.demos import (
    Demo,
    DemoRecording,
    concatenate,
    make_environment,
    shipped,
    shipped_names,
)
from hxwrappers.demos.demo import _FOLDER
from hxwrappers.demos.player import DemoPlayer
from hxwrappers.errors import (
    DemoError,
    InvalidArgumentError,
    SnapshotError,
)
from hxwrappers.snapshots import find_snapshotter
from hxwrappers.snapshots.store import SnapshotLog
from tests import envs_for_tests
from tests.demos.samples import deep_stack, frame_env, lake_demo, lake_env, play, record

gym.register_envs(envs_for_tests)


def with_rewards(demo: Demo, rewards: list[float]) -> Demo:
    count = len(rewards)
    return Demo(
        demo.actions[:count],
        np.array(rewards, np.float64),
        demo.terminations[:count],
        demo.truncations[:count],
        demo.metadata,
        demo.snapshots.up_to(count),
    )


@pytest.fixture(scope="module")
def pong():
    env = frame_env()
    recording = DemoRecording(env, snapshot_every=20)
    observations = play(recording, 130)
    return env, recording.demo(), observations


def test_returns_and_slices(pong):
    demo = with_rewards(pong[1], [0, 1, 0, -1, 2, 0])
    assert demo.score == 2
    assert demo.returns().tolist() == [0, 0, 1, 1, 0, 2, 2]
    assert demo.step_of_reward() == 2
    assert demo.step_of_reward(2) == 5
    assert demo.step_of_return(2) == 5
    assert len(demo.slice(stop_at_reward=1)) == 2
    assert len(demo.slice(stop_at_return=1)) == 2
    assert len(demo.slice(stop=-2)) == 4
    assert len(demo.slice(stop=0)) == 0
    assert demo.slice(stop=6).rewards.tolist() == demo.rewards.tolist()
    for wrong in ({}, {"stop": 1, "stop_at_reward": 1}, {"stop": 7}, {"stop": -7}):
        with pytest.raises(InvalidArgumentError):
            demo.slice(**wrong)
    with pytest.raises(InvalidArgumentError, match="2 positive rewards"):
        demo.slice(stop_at_reward=3)
    with pytest.raises(InvalidArgumentError, match="its highest is 2"):
        demo.slice(stop_at_return=3)


@pytest.mark.parametrize(
    "make", [frame_env, deep_stack, lambda: gym.make("CartPole-v1"), lambda: frame_env("Qbert")]
)
def test_every_step_can_be_returned_to(make, tmp_path):
    env = make()
    recording = DemoRecording(env, snapshot_every=11)
    observations = play(recording, 45)
    recording.demo().save(tmp_path / "demo.npz")
    demo = Demo.load(tmp_path / "demo.npz")
    other = make()
    for step in np.random.default_rng(0).permutation(len(demo) + 1).tolist():
        got = demo.restore(other, step)
        assert data_equivalence(got, observations[step], exact=True), step
    assert demo.verify(other).ok
    for transition in demo.replay(other, 5, 9):
        assert data_equivalence(transition.observation, observations[transition.step], exact=True)
        assert transition.reward == demo.rewards[transition.step - 1]


def test_a_dtype_that_a_file_cannot_hold_is_refused_before_it_is_written(pong, tmp_path):
    _, demo, _ = pong
    with pytest.raises(DemoError, match="at most 8 bytes"):
        replace(demo, actions=demo.actions.astype(np.longdouble)).save(tmp_path / "demo.npz")
    assert not list(tmp_path.iterdir())


def test_a_file_holds_everything(pong, tmp_path):
    _, demo, _ = pong
    demo.save(tmp_path / "demo.npz")
    loaded = Demo.load(tmp_path / "demo.npz")
    assert loaded.metadata == demo.metadata
    assert loaded.snapshots == demo.snapshots
    for name in ("actions", "rewards", "terminations", "truncations"):
        one, other = getattr(loaded, name), getattr(demo, name)
        assert one.dtype == other.dtype
        assert (one == other).all()
    assert loaded.actions.dtype == np.uint8
    with np.load(tmp_path / "demo.npz", allow_pickle=False) as archive:
        document = json.loads(archive["metadata"].tobytes())
    assert document["score"] == demo.score
    assert document["steps"] == len(demo)
    assert document["env"]["game"] == "pong"
    assert document["versions"]["ale-py"]
    again = pickle.loads(pickle.dumps(demo))
    assert again.snapshots == demo.snapshots
    assert again.verify(pong[0]).ok


def test_the_generator_is_stored_once(pong):
    _, demo, _ = pong
    count = len(demo.snapshots)
    assert count == 7
    assert len(demo.snapshots.data) < 7700 + count * 700


def test_no_file_is_half_written(pong, tmp_path, monkeypatch):
    path = tmp_path / "demo.npz"
    pong[1].save(path)
    before = path.read_bytes()
    monkeypatch.setattr(np.lib.format, "write_array", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pong[1].slice(stop=5).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_changed_demonstration_is_found_out(pong):
    env, demo, _ = pong
    rewards = demo.rewards.copy()
    rewards[76] += 1
    found = replace(demo, rewards=rewards).verify(env)
    assert not found.ok
    assert str(found.first_difference) == "step 77: reward 0.0, but 1.0 was recorded"
    with pytest.raises(DemoError, match="at step 77: reward"):
        found.raise_if_different()
    demo.verify(env).raise_if_different()

    ends = demo.terminations.copy()
    ends[9] = True
    assert replace(demo, terminations=ends).verify(env).first_difference.what == "termination"
    assert replace(demo, truncations=ends).verify(env).first_difference.what == "truncation"

    actions = demo.actions.copy()
    actions[41:60] = 3 - actions[41:60] // 2
    difference = replace(demo, actions=actions).verify(env).first_difference
    assert (difference.step, difference.what) == (60, "state")
    assert str(difference) == "step 60: the state is not the one recorded"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: frame_env("Breakout"), "game: 'pong' in the demonstration, 'breakout'"),
        (lambda: frame_env(full_action_space=True), "actions: "),
        (lambda: frame_env(frameskip=4), "frame skip: 1 in the demonstration, 4"),
        (lambda: frame_env(repeat_action_probability=0.25), "repeat action probability: 0.0"),
        (lambda: frame_env(mode=1), "mode: 0"),
        (lambda: frame_env(difficulty=1), "difficulty: 0"),
        (lambda: FrameStackObservation(frame_env(), 2), "wrappers: "),
        (lambda: gym.make("CartPole-v1"), "id: 'ALE/Pong-v5'"),
    ],
)
def test_other_environments_are_refused(pong, make, message):
    with pytest.raises(DemoError, match=message):
        pong[1].restore(make(), 3)


@pytest.mark.parametrize("wrappers", [["x" * 10_000], [["TimeLimit"]], [{}], "TimeLimit", None])
def test_wrappers_that_are_none(pong, wrappers):
    described = {**pong[1].metadata.env, "wrappers": wrappers, "game": "y" * 10_000}
    demo = replace(pong[1], metadata=replace(pong[1].metadata, env=described))
    with pytest.raises(DemoError) as caught:
        demo.restore(pong[0], 3)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("actions", [[0, 6], [0, -1], [0.0, 1.0], [[0], [1]]])
def test_actions_that_the_environment_lacks(pong, actions):
    env, demo, _ = pong
    other = replace(demo.slice(stop=2), actions=np.array(actions))
    with pytest.raises(DemoError, match="actions that Discrete"):
        other.restore(env, 1)


@pytest.mark.parametrize("options", [{"low": "x"}, {"low": 2.0, "high": 1.0}, {"low": None}])
def test_options_that_the_environment_cannot_be_reset_with(options):
    env = gym.make("CartPole-v1")
    recording = DemoRecording(env)
    recording.reset(seed=0, options={"low": -0.01, "high": 0.01})
    recording.step(1)
    demo = recording.demo()
    assert demo.verify(env).ok
    hostile = replace(demo, metadata=replace(demo.metadata, options=options))
    for find_out in (hostile.verify, lambda env: hostile.restore(env, 0)):
        with pytest.raises(DemoError, match="options"):
            find_out(gym.make("CartPole-v1"))


class Paid(gym.Wrapper):
    """Pays what the reset options say, and takes it out of them."""

    def reset(self, *, seed=None, options=None):
        self.pay = float((options or {}).pop("pay", 0.0))
        return self.env.reset(seed=seed)

    def step(self, action):
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, self.pay, terminated, truncated, info


@pytest.mark.parametrize("make", [lambda: gym.make("CartPole-v1"), frame_env])
def test_options_that_the_environment_takes_out(make):
    recording = DemoRecording(Paid(make()), snapshot_every=2)
    recording.reset(seed=0, options={"pay": 5.0})
    for _ in range(5):
        recording.step(1)
    demo = recording.demo()
    assert demo.score == 25
    for _ in range(2):
        assert demo.verify(Paid(make())).ok
    tracker = SuccessTracker(demo, FrontierSettings(window=0))
    env = DemoResetCurriculum(Paid(make()), demo, tracker)
    for _ in range(2):
        env.reset(seed=0, options={"starting_point": 0})
        assert env.step(1)[1] == 5
    assert demo.metadata.options == {"pay": 5.0}


def test_a_copied_player_leaves_behind_what_it_can_make_again():
    player = DemoPlayer(lake_demo(), lake_env())
    player.restore(1)
    before = len(pickle.dumps(player))
    for step in range(2, 6):
        player.restore(step)
    assert len(pickle.dumps(player)) < before + 1000
    assert int(pickle.loads(pickle.dumps(player)).restore(3)) == 9


def test_another_rom_is_refused(pong):
    env, demo, _ = pong
    described = {**demo.metadata.env, "rom_md5": "0" * 32}
    other = replace(demo, metadata=replace(demo.metadata, env=described))
    with pytest.raises(DemoError, match="ROM is another one, by its md5: '000"):
        other.restore(env, 3)
    described = {**demo.metadata.env}
    family = replace(demo, metadata=replace(demo.metadata, family="mujoco"))
    with pytest.raises(DemoError, match="family 'mujoco'"):
        family.restore(env, 3)


def test_draws_of_wrappers_outside_are_no_part_of_the_state():
    recording = DemoRecording(frame_env(), snapshot_every=20)
    recording.reset(seed=0)
    recording.env.unwrapped.np_random.integers(31)  # as AtariPreprocessing draws its idle frames
    for _ in range(50):
        recording.step(0)
    assert recording.demo().verify(frame_env()).ok


def test_another_observation_than_the_recordings(pong):
    _, demo, _ = pong
    env = frame_env(obs_type="ram")
    assert demo.restore(env, 0).shape == (128,)
    assert demo.verify(env).ok


def test_without_snapshot_and_seed_there_is_no_return():
    env = gym.make("CartPole-v1")
    recording = DemoRecording(env)
    recording.reset()
    recording.step(0)
    demo = recording.demo()
    with pytest.raises(SnapshotError, match="neither a snapshot"):
        demo.restore(env, 1)
    with pytest.raises(SnapshotError, match="neither a snapshot"):
        demo.restore(env, 0)


def test_seams():
    """Two recordings, end to end: the second begins in a state of its own."""
    first, second = record(frame_env(), 50, seed=1), record(frame_env(), 45, seed=2)
    joined = concatenate(first, second, second)
    assert len(joined) == 140
    assert joined.metadata.seams == (50, 95)
    env = frame_env()
    assert joined.verify(env).ok
    straight = [item.observation for item in joined.replay(env, 30, 70)]
    assert all(
        np.array_equal(joined.restore(env, step), straight[step - 31]) for step in range(31, 71)
    )
    expected = [item.observation for item in second.replay(env, 0, 20)]
    assert all(map(np.array_equal, straight[20:], expected))
    assert joined.slice(stop=60).metadata.seams == (50,)
    assert concatenate(first) is first


def test_joining_what_does_not_belong_together(pong):
    demo = pong[1]
    with pytest.raises(DemoError, match=r"they differ in .*game"):
        concatenate(demo, record(frame_env("Breakout"), 5))
    ended = demo.terminations.copy()
    ended[-1] = True
    with pytest.raises(DemoError, match="ends with the episode's end"):
        concatenate(replace(demo, terminations=ended), demo)


def test_replayed_parts_are_joined_without_a_seam():
    env = gym.make("FrozenLake-v1", is_slippery=False)
    recording = DemoRecording(env)
    recording.reset(seed=0)
    for action in (1, 1, 2, 1, 2, 2):
        recording.step(action)
    whole = recording.demo()
    tail = Demo(
        whole.actions[3:],
        whole.rewards[3:],
        whole.terminations[3:],
        whole.truncations[3:],
        whole.metadata,
        whole.snapshots,
    )
    joined = concatenate(whole.slice(stop=3), tail)
    assert joined.metadata.seams == ()
    assert joined.verify(env).ok
    assert joined.score == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda demo: {"rewards": demo.rewards[:-1]},
        lambda demo: {"rewards": demo.rewards.astype(np.float32)},
        lambda demo: {"rewards": np.full_like(demo.rewards, np.nan)},
        lambda demo: {"terminations": demo.rewards},
        lambda _: {"actions": np.array(3)},
        lambda demo: {"metadata": demo.metadata.with_seams((3,))},
    ],
)
def test_arrays_that_do_not_fit(pong, change):
    with pytest.raises(DemoError):
        replace(pong[1], **change(pong[1]))


def test_snapshots_past_the_end(pong):
    log = SnapshotLog()
    log.append(1000, b"x")
    with pytest.raises(DemoError, match="snapshot at step 1000"):
        replace(pong[1], snapshots=log.store())


def test_a_given_snapshotter_is_used(pong):
    env, demo, _ = pong
    snapshotter = find_snapshotter(env)
    assert demo.player(env, snapshotter).snapshotter is snapshotter
    assert demo.player(env) is demo.player(env, snapshotter)
    assert demo.player(frame_env()).snapshotter is not snapshotter


class TestMakeEnvironment:
    def test_with_wrappers(self):
        demo = record(deep_stack(), 10)
        env = make_environment(demo)
        assert demo.verify(env).ok
        assert make_environment(demo, render_mode="rgb_array").render_mode == "rgb_array"

    @pytest.mark.parametrize("name", ["HxPair-v0", "HxSkipping-v0"])
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda env: env,
            lambda env: FrameStackObservation(MaxAndSkipObservation(env, 2), 2),
            lambda env: TimeLimit(env, 3),
        ],
    )
    def test_wrappers_that_the_id_brings_are_not_made_twice(self, name, wrap):
        env = wrap(gym.make(name, shortest=30, longest=40))
        demo = record(env, 20)
        assert len(demo) < 20
        made = make_environment(demo)
        assert str(made) == str(env)
        assert demo.verify(made).ok
        limitless = gym.make(name, max_episode_steps=-1, shortest=30, longest=40)
        demo = record(wrap(limitless), 20)
        assert str(make_environment(demo)) == str(wrap(limitless))

    def test_a_wrapper_that_the_id_does_not_bring_is_not_made(self, pong):
        described = {
            "id": "HxPair-v0",
            "spec": {"kwargs": {}},
            "wrappers": ["RecordVideo", "FrameStackObservation"],
            "wrapper_arguments": [{}, {"stack_size": 2}],
        }
        demo = replace(pong[1], metadata=replace(pong[1].metadata, env=described))
        with pytest.raises(DemoError, match="RecordVideo, which is not made"):
            make_environment(demo)

    @pytest.mark.parametrize(
        ("env", "message"),
        [
            ({"id": None, "spec": None}, "does not say which"),
            ({"id": "os:system-v0"}, "not registered"),
            ({"spec": {"kwargs": {"x": 1}}}, "cannot be made"),
            # The environment's own error, a KeyError.
            ({"id": "FrozenLake-v1", "spec": {"kwargs": {"map_name": "9"}}}, "cannot be made"),
            ({"wrappers": ["TimeLimit"], "wrapper_arguments": [{"steps": 3}]}, "cannot be made"),
            (
                {"wrappers": ["RecordVideo"], "wrapper_arguments": [{"video_folder": "/"}]},
                "RecordVideo, which is not made",
            ),
            ({"wrappers": ["os:system"], "wrapper_arguments": [{}]}, "os:system, which is not"),
            ({"wrappers": ["TimeLimit"], "wrapper_arguments": [None]}, "which is not made"),
            ({"wrappers": [["TimeLimit"]], "wrapper_arguments": [{}]}, "which is not made"),
            ({"wrappers": ["TimeLimit"], "wrapper_arguments": []}, "does not say which"),
        ],
    )
    def test_nothing_else_is_made_from_a_file(self, pong, env, message):
        known = {
            "id": "CartPole-v1",
            "spec": {"kwargs": {}},
            "wrappers": [],
            "wrapper_arguments": [],
        }
        demo = replace(pong[1], metadata=replace(pong[1].metadata, env={**known, **env}))
        with pytest.raises(DemoError, match=message):
            make_environment(demo)


def test_files_that_are_none(tmp_path):
    with pytest.raises(DemoError, match="no demonstration file"):
        Demo.load(tmp_path / "nothing.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(DemoError, match="could not be read"):
        Demo.load(tmp_path / "empty.npz")
    with pytest.raises(DemoError):
        Demo.load(tmp_path)


def test_a_snapshot_is_unpacked_once_for_all_environments_of_a_kind(monkeypatch):
    demo = record(frame_env(), 130, every=50)
    unpacked = []
    get = demo.snapshots.get
    monkeypatch.setattr(demo.snapshots, "get", lambda index: unpacked.append(index) or get(index))
    observations = [
        demo.restore(env, step) for env in (frame_env(), frame_env()) for step in (60, 70)
    ]
    assert unpacked == [1]
    np.testing.assert_array_equal(observations[:2], observations[2:])
    assert demo.__getstate__()["_unpacked"] == {}


ROOM = 3


@pytest.mark.parametrize("name", shipped_names())
def test_each_verifies(name):
    demo = shipped(name)
    env = make_environment(demo)
    found = demo.verify(env)
    assert found.ok, found.first_difference
    assert found.score == demo.score
    made_by = demo.metadata.made_by
    assert made_by["command"].startswith("hxw demo search ALE/MontezumaRevenge-v5 ")
    assert made_by["search"]["seed"] == demo.metadata.seed
    assert made_by["search_steps"] > len(demo)
    assert (_FOLDER / f"{name}.npz").stat().st_size < 100_000


def test_what_they_show():
    key = shipped("montezuma-first-key")
    assert key.score == 100
    assert key.rewards[-1] == 100 or key.rewards[-4:].sum() == 100
    room = shipped("montezuma-first-room")
    env = make_environment(room)
    room.restore(env, len(room))
    assert env.unwrapped.ale.getRAM()[ROOM] != 1
    assert shipped("montezuma-long").score == 6600


def test_another_name():
    with pytest.raises(InvalidArgumentError, match="there are montezuma-first-key, "):
        shipped("pong")
