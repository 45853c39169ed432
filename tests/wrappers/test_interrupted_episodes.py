"""Episodes of a curriculum that end before it knows how."""

import gymnasium as gym
import pytest
from stable_baselines3.common.monitor import Monitor

from hxwrappers import DemoResetCurriculum
from hxwrappers.demos import DemoRecording
from tests.demos.samples import lake_demo, lake_env, pole_demo
from tests.wrappers.curricula import from_step, tracker_of


@pytest.fixture
def demo():
    return lake_demo()


def test_an_episode_cut_off_from_outside_is_counted(demo):
    curriculum = DemoResetCurriculum(lake_env(), demo, tracker_of(demo))
    env = gym.wrappers.TimeLimit(curriculum, 3)
    tracker = curriculum.tracker
    for episodes in range(1, 4):
        from_step(env, 2)
        truncated = False
        while not truncated:
            *_, truncated, _ = env.step(0)  # up against the wall
        env.reset()
        env.reset()  # an episode without a step is none
        assert tracker.episodes == episodes
    assert tracker.rates()[2] == 0


def test_an_episode_in_flight_is_not_counted_in_a_table_that_is_loaded(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo))
    env.reset(seed=0)
    state = env.state_dict()
    for end in (False, True):  # cut off by a reset, or played to its end
        from_step(env, 2)
        env.step(0)
        env.load_state_dict(state)
        for action in (2, 1, 2, 2) if end else ():
            *_, info = env.step(action)
        env.reset()
        assert env.tracker.episodes == 0
    assert "is_success" in info
    for action in (1, 1, 2, 1, 2, 2)[env.reset()[1]["starting_point"] :]:
        env.step(action)
    env.reset()
    assert env.tracker.episodes == 1


def test_an_episode_cut_off_after_its_success_has_succeeded():
    demo = pole_demo()
    env = DemoResetCurriculum(gym.make("CartPole-v1"), demo, tracker_of(demo), extra_steps=20.0)
    env.reset(seed=0, options={"starting_point": 4})
    for step in range(3):
        assert env.step(step % 2)[2:4] == (False, False)
    env.reset()
    assert env.tracker.episodes == 1
    assert env.tracker.rates()[4] == 1


@pytest.mark.parametrize(("training", "seed"), [(True, 0), (False, None), (False, 0)])
def test_an_episode_cut_off_by_a_new_seed_or_an_evaluation_is_not_counted(demo, training, seed):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo))
    from_step(env, 2)
    env.step(0)
    env.training = training
    env.reset(seed=seed)
    assert env.tracker.episodes == 0


@pytest.mark.parametrize("counting", [Monitor, gym.wrappers.RecordEpisodeStatistics])
def test_statistics_are_not_those_of_a_demonstration_that_was_recorded_around_them(counting):
    recording = DemoRecording(counting(lake_env()), snapshot_every=2)
    recording.reset(seed=0)
    for action in (1, 1, 2, 1, 2, 2):
        recording.step(action)
    demo = recording.demo()
    env = DemoResetCurriculum(counting(lake_env()), demo, tracker_of(demo), extra_steps=None)
    for start in (4, 5, 2, 0, 3):
        from_step(env, start)
        for action in (1, 1, 2, 1, 2, 2)[start:]:
            *_, info = env.step(action)
        assert (info["episode"]["r"], info["episode"]["l"]) == (1, 6 - start)
