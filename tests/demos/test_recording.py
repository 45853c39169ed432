"""Recording, going back in time, and going on from an earlier demonstration."""

import re
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.wrappers import TransformReward

from hxwrappers import DemoResetCurriculum
from hxwrappers.demos import Demo, DemoRecording, JournalWriter, recover_demos
from hxwrappers.errors import DemoError, InvalidArgumentError
from tests.demos.samples import deep_stack, frame_env, play, record
from tests.snapshots.test_snapshots import Secretive, SelfFreezing


@pytest.mark.parametrize(
    "make",
    [
        lambda: frame_env("MontezumaRevenge"),
        lambda: frame_env("Qbert"),
        deep_stack,
        lambda: gym.make("CartPole-v1"),
        SelfFreezing,
        Secretive,
    ],
)
def test_rewinding_and_taking_another_way(make):
    recording = DemoRecording(make(), snapshot_every=7)
    observations = play(recording, 30)
    count = len(recording)
    for back in (0, 1, 5, 3):
        count -= back
        got = recording.rewind(back)
        assert len(recording) == count
        assert data_equivalence(got, observations[count], exact=True)
    space = recording.env.action_space
    for _ in range(6):
        recording.step(space.sample())
        if recording.ended:
            break
    demo = recording.demo()
    assert demo.verify(make()).ok
    assert data_equivalence(recording.rewind(1000), observations[0], exact=True)
    assert len(recording) == 0
    assert recording.score == 0


def test_after_the_end_only_a_rewind_helps():
    recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
    with pytest.raises(DemoError, match="Call reset first"):
        recording.step(0)
    with pytest.raises(DemoError, match="no run yet"):
        recording.demo()
    recording.reset(seed=0)
    for action in (1, 2):
        recording.step(action)
    assert recording.ended
    assert recording.demo().ended
    with pytest.raises(DemoError, match="has ended"):
        recording.step(0)
    recording.rewind(1)
    assert not recording.ended
    recording.step(1)
    assert recording.demo().actions.tolist() == [1, 1]


def test_going_on_from_a_demonstration(tmp_path):
    record(frame_env(), 60).save(tmp_path / "demo.npz")
    earlier = Demo.load(tmp_path / "demo.npz")
    recording = DemoRecording(frame_env(), snapshot_every=25)
    observation = recording.resume(earlier, 40)
    assert np.array_equal(observation, earlier.restore(frame_env(), 40))
    for _ in range(20):
        recording.step(2)
    demo = recording.demo(name="again")
    assert demo.actions[:40].tolist() == earlier.actions[:40].tolist()
    assert demo.metadata.made_by == {"tool": "DemoRecording", "name": "again"}
    assert demo.verify(frame_env()).ok
    recording.rewind(30)
    assert len(recording) == 30
    assert recording.demo().verify(frame_env()).ok
    with pytest.raises(DemoError):
        DemoRecording(frame_env("Breakout")).resume(earlier)


def test_going_on_from_an_ended_demonstration():
    env = gym.make("FrozenLake-v1", is_slippery=False)
    recording = DemoRecording(env)
    recording.reset(seed=0)
    recording.step(1)
    recording.step(2)
    other = DemoRecording(env)
    assert int(other.resume(recording.demo())) == 4
    assert len(other) == 1


def test_the_environments_own_reward_is_recorded():
    class Bonus(gym.Wrapper):
        def step(self, action):
            observation, reward, terminated, truncated, info = self.env.step(action)
            info = {**info, "extrinsic_reward": float(reward), "reward_bonus": 10.0}
            return observation, float(reward) + 10, terminated, truncated, info

    recording = DemoRecording(Bonus(gym.make("CliffWalking-v1")))
    recording.reset(seed=0)
    assert recording.step(0)[1] == 9
    assert recording.demo().score == -1
    assert recording.demo().verify(Bonus(gym.make("CliffWalking-v1"))).ok
    plain = DemoRecording(TransformReward(gym.make("CliffWalking-v1"), lambda reward: 2 * reward))
    plain.reset(seed=0)
    plain.step(0)
    assert plain.demo().score == -2


def torques(dtype):
    return [np.array([torque], dtype) for torque in np.random.default_rng(0).uniform(-2, 2, 12)]


@pytest.mark.parametrize(
    ("actions", "dtype"),
    [
        (torques(np.float32), np.float32),
        (torques(np.float64), np.float64),
        (torques(np.float16), np.float32),
        ([torque.tolist() for torque in torques(np.float64)], np.float64),
        ([[1], [-2], [0]], np.float64),
        ([*torques(np.float64), *torques(np.float32)], np.float64),
        ([*torques(np.float32), *torques(np.float64)], np.float32),
    ],
)
def test_what_is_kept_is_what_was_executed(tmp_path, actions, dtype):
    writer = JournalWriter(tmp_path / "run.journal")
    recording = DemoRecording(gym.make("Pendulum-v1"), journal=writer)
    recording.reset(seed=0)
    for action in actions:
        recording.step(action)
    recording.demo().save(tmp_path / "demo.npz")
    writer.close()
    for demo in (Demo.load(tmp_path / "demo.npz"), *recover_demos(tmp_path / "run.journal")):
        assert demo.actions.dtype == dtype
        assert demo.verify(gym.make("Pendulum-v1")).ok
        DemoResetCurriculum(gym.make("Pendulum-v1"), demo).reset(seed=0)
        other = DemoRecording(gym.make("Pendulum-v1"))
        other.resume(demo)
        for action in torques(np.float64):
            other.step(action)
        assert other.demo().actions.dtype == dtype
        assert other.demo().verify(gym.make("Pendulum-v1")).ok


class Adding(gym.Env):
    """Pays the sum of its actions."""

    observation_space = gym.spaces.Discrete(1)

    def __init__(self, space):
        self.action_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 0, float(np.sum(action)), False, False, {}


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Discrete(3, start=-1),
        gym.spaces.MultiDiscrete([3, 3], start=[-1, 4]),
        gym.spaces.MultiDiscrete([[2, 3], [2, 3]]),
        gym.spaces.MultiBinary(2),
    ],
)
def test_actions_of_every_space_replay(tmp_path, space):
    demo = record(Adding(space), 20)
    demo.save(tmp_path / "demo.npz")
    assert Demo.load(tmp_path / "demo.npz").verify(Adding(space)).ok


@pytest.mark.parametrize("off", [-1, 3])
def test_actions_out_of_a_range_that_begins_elsewhere(off):
    space = gym.spaces.MultiDiscrete([3, 3], start=[-1, 4])
    demo = record(Adding(space), 1)
    with pytest.raises(DemoError, match="out of range"):
        replace(demo, actions=np.array([space.start + off])).verify(Adding(space))


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Tuple((gym.spaces.Discrete(2), gym.spaces.Discrete(3))),
        gym.spaces.Dict(a=gym.spaces.Discrete(2)),
        gym.spaces.Text(3),
        gym.spaces.Sequence(gym.spaces.Discrete(2)),
    ],
)
def test_actions_that_are_no_numbers_are_refused(space):
    with pytest.raises(InvalidArgumentError, match=re.escape(str(space))):
        DemoRecording(Adding(space))


def test_bad_arguments():
    env = gym.make("CartPole-v1")
    with pytest.raises(InvalidArgumentError, match="at least one"):
        DemoRecording(env, snapshot_every=0)
    recording = DemoRecording(env)
    recording.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match="give 0 or more"):
        recording.rewind(-1)


def test_snapshots_are_as_far_apart_as_was_asked_for():
    assert record(frame_env(), 45, every=10).snapshots.steps.tolist() == [0, 10, 20, 30, 40]
