"""The wrapper that records."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from hxwrappers.demos import Demo, recover_demos
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.wrappers import DemoRecorder, DemoResetCurriculum, RNDBonus
from tests.demos.samples import deep_stack, frame_env, lake_demo, lake_env


def test_it_changes_nothing():
    plain, recorded = deep_stack(), DemoRecorder(deep_stack())
    assert data_equivalence(plain.reset(seed=5), recorded.reset(seed=5), exact=True)
    plain.action_space.seed(0)
    for _ in range(40):
        action = plain.action_space.sample()
        assert data_equivalence(plain.step(action), recorded.step(action), exact=True)


@pytest.mark.parametrize("convert", [np.float32, np.float64, np.ndarray.tolist])
def test_it_rounds_no_action(convert):
    plain, recorded = gym.make("Pendulum-v1"), DemoRecorder(gym.make("Pendulum-v1"))
    plain.reset(seed=5)
    recorded.reset(seed=5)
    for torque in np.random.default_rng(0).uniform(-2, 2, (20, 1)):
        assert recorded.step(convert(torque))[1] == plain.step(convert(torque))[1]
    assert recorded.demo().verify(gym.make("Pendulum-v1")).ok


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version.*")
def test_check_env():
    check_env(DemoRecorder(gym.make("FrozenLake-v1").unwrapped), skip_render_check=True)


def test_each_episode_is_saved(tmp_path):
    env = DemoRecorder(gym.make("CartPole-v1"), folder=str(tmp_path / "demos"))
    env.action_space.seed(0)
    lengths = []
    for episode in range(3):
        env.reset(seed=0 if episode == 0 else None)
        steps, ended = 0, False
        while not ended and steps < 12:
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            steps, ended = steps + 1, terminated or truncated
        lengths.append(steps)
    env.close()
    files = sorted((tmp_path / "demos").iterdir())
    demos = [Demo.load(file) for file in files]
    assert [len(demo) for demo in demos] == lengths
    assert all(demo.verify(gym.make("CartPole-v1")).ok for demo in demos)
    assert len({demo.metadata.seed for demo in demos}) == 3


def test_seeds_of_its_own_are_reproducible():
    first, second = DemoRecorder(gym.make("CartPole-v1")), DemoRecorder(gym.make("CartPole-v1"))
    for env in (first, second):
        env.reset(seed=4)
    assert np.array_equal(first.reset()[0], second.reset()[0])
    plain = DemoRecorder(gym.make("CartPole-v1"), seed_resets=False)
    plain.reset()
    assert plain.demo().metadata.seed is None


def test_rewind_resume_and_save(tmp_path):
    env = DemoRecorder(frame_env(), snapshot_every=10)
    env.reset(seed=0)
    seen = [env.step(action % 6)[0] for action in range(30)]
    assert np.array_equal(env.rewind(4), seen[25])
    env.save(tmp_path / "demo.npz")
    demo = Demo.load(tmp_path / "demo.npz")
    assert len(demo) == 26
    assert demo.metadata.made_by == {"tool": "DemoRecorder"}
    other = DemoRecorder(frame_env())
    assert np.array_equal(other.resume(demo), seen[25])
    assert len(other.demo()) == 26


def test_resume_saves_the_episode_before_and_no_copy_of_the_demonstration(tmp_path):
    demo = lake_demo()

    def lengths():
        return [len(Demo.load(file)) for file in sorted(tmp_path.iterdir())]

    env = DemoRecorder(lake_env(), folder=str(tmp_path))
    env.reset(seed=1)
    env.step(1)
    env.step(1)
    env.resume(demo, 3)
    assert lengths() == [2]
    env.reset()
    assert lengths() == [2]
    env.resume(demo, 3)
    env.step(1)
    env.close()
    assert lengths() == [2, 4]


def test_its_arguments_are_in_the_spec(tmp_path):
    journal = str(tmp_path / "run.journal")
    env = DemoRecorder(gym.make("CartPole-v1"), journal=journal, snapshot_every=7)
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    env.reset(seed=0)
    env.step(0)
    env.close()
    again = gym.make(spec)
    assert again.spec == spec
    again.close()
    assert [len(demo) for demo in recover_demos(journal)] == [1]


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError):
        DemoRecorder(gym.make("CartPole-v1"), snapshot_every=0)


@pytest.mark.parametrize("make", [lambda: gym.make("CartPole-v1"), frame_env])
def test_a_rewind_does_not_unlearn_what_a_bonus_has_learned(make):
    quick = {"warmup_steps": 2, "update_every": 4, "batch_size": 4, "features": 4, "device": "cpu"}
    bonus = RNDBonus(make(), **quick)
    env = DemoRecorder(bonus, snapshot_every=2)
    env.reset(seed=0)
    for step in range(11):
        env.step(step % 2)
    updates = bonus.model.updates
    bonus.coefficient = 0.1
    env.rewind(9)
    assert bonus.coefficient == 0.1
    # It sees the steps that the rewind takes again, and goes on from what it knew.
    assert bonus.model.updates >= updates > 1
    for step in range(6):
        env.step(step % 2)
    assert bonus.model.updates > updates


def test_refuses_episodes_that_begin_in_their_midst():
    with pytest.raises(InvalidArgumentError, match="DemoResetCurriculum"):
        DemoRecorder(DemoResetCurriculum(lake_env(), lake_demo()))
