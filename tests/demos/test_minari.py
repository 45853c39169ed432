"""Minari datasets."""

from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation

from hxwrappers.demos import DemoRecording
from hxwrappers.demos.minari import demos_from_minari, demos_to_minari
from hxwrappers.errors import DemoError, InvalidArgumentError
from tests.demos.samples import frame_env, play, record

pytest.importorskip("h5py", reason="h5py is not installed")
minari = pytest.importorskip("minari", reason="Minari is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def test_there_and_back():
    env = frame_env("Pong")
    recording = DemoRecording(env, snapshot_every=10)
    observations = play(recording, 25)
    demos = [recording.demo(), record(env, 12, seed=3)]
    dataset = demos_to_minari(demos, "pong/demos-v0", env, author="someone")
    assert dataset.total_episodes == 2
    assert dataset.total_steps == 37
    episode = dataset[0]
    assert np.array_equal(episode.observations, np.stack(observations))
    assert episode.rewards.tolist() == demos[0].rewards.tolist()

    back = demos_from_minari("pong/demos-v0", snapshot_every=10)
    assert [len(demo) for demo in back] == [25, 12]
    assert back[0].actions.tolist() == demos[0].actions.tolist()
    assert back[0].metadata.made_by["dataset"] == "pong/demos-v0"
    assert back[1].metadata.made_by["episode"] == 1
    assert all(demo.verify(env).ok for demo in back)
    (only,) = demos_from_minari(dataset, env=env, episodes=[1])
    assert only.actions.tolist() == demos[1].actions.tolist()
    turned = demos_from_minari(dataset, env=env, episodes=[1, 0])
    assert [len(demo) for demo in turned] == [12, 25]
    part = dataset.filter_episodes(lambda episode: episode.id == 1)
    assert [len(demo) for demo in demos_from_minari(part, env=env)] == [12]
    with pytest.raises(InvalidArgumentError, match=r"no episode \[7\]; its ids are \[0, 1\]"):
        demos_from_minari(dataset, env=env, episodes=[0, 7])


def test_actions_wider_than_their_space():
    env = gym.make("Pendulum-v1")
    recording = DemoRecording(env)
    recording.reset(seed=0)
    for torque in np.random.default_rng(0).uniform(-2, 2, (10, 1)):
        recording.step(torque)
    demo = recording.demo()
    (back,) = demos_from_minari(demos_to_minari([demo], "pendulum/demos-v0", env))
    assert back.actions.tolist() == demo.actions.tolist()
    assert back.rewards.tolist() == demo.rewards.tolist()


def test_structured_observations():
    env = gym.make("Blackjack-v1")
    demo = record(env, 20, seed=1)
    dataset = demos_to_minari([demo], "blackjack/demos-v0", env)
    assert len(dataset[0].observations) == 3
    assert demos_from_minari(dataset)[0].rewards.tolist() == demo.rewards.tolist()


ENDS = {
    "stops before the end": (5, {}, (False, False)),
    "terminated": (200, {}, (True, False)),
    "truncated": (8, {"max_episode_steps": 8}, (False, True)),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_episode_has_an_end_which_survives_there_and_back(name):
    steps, arguments, end = ENDS[name]
    env = gym.make("CartPole-v1", **arguments)
    demos = [record(env, steps, seed=seed) for seed in (1, 2)]
    dataset = demos_to_minari(demos, "pole/ends-v0", env)
    for number in range(3):  # through demonstrations and back, again and again
        for episode, demo in zip(dataset.iterate_episodes(), demos, strict=True):
            ends = episode.terminations | episode.truncations
            assert ends.tolist() == [False] * (len(demo) - 1) + [True]
            assert episode.terminations[-1] == end[0]
        back = demos_from_minari(dataset, env=env)
        for demo, other in zip(demos, back, strict=True):
            assert (bool(other.terminations[-1]), bool(other.truncations[-1])) == end
            assert other.ended == demo.ended
            assert other.verify(env).ok
        dataset = demos_to_minari(back, f"pole/ends{number}-v0", env)


def collected(seed):
    """An episode as other collectors store it: the policy's actions, seed and observations."""
    env = gym.make("CartPole-v1")
    env.action_space.seed(seed)
    steps = {
        "observations": [env.reset(seed=seed)[0]],
        "actions": [],
        "rewards": [],
        "terminations": [],
        "truncations": [],
    }
    while not any(steps["terminations"] + steps["truncations"]):
        action = env.action_space.sample()
        for name, value in zip(
            ("observations", "rewards", "terminations", "truncations"),
            env.step(action)[:4],
            strict=True,
        ):
            steps[name].append(value)
        steps["actions"].append(action)
    return minari.data_collector.EpisodeBuffer(seed=seed, **steps)


def test_a_dataset_of_another_collector():
    buffers = [collected(1), collected(2)]
    dataset = minari.create_dataset_from_buffers(
        "cartpole/test-v0", buffers, env=gym.make("CartPole-v1"), jpeg_encoding=False
    )
    demos = demos_from_minari(dataset)
    assert [demo.score for demo in demos] == [sum(buffer.rewards) for buffer in buffers]
    assert all(demo.ended for demo in demos)
    with pytest.raises(DemoError, match="episode 0 of cartpole/test-v0: the replay"):
        demos_from_minari(dataset, env=gym.make("CartPole-v1", sutton_barto_reward=True))


def test_without_seeds_or_environment():
    env = gym.make("CartPole-v1")
    buffer = minari.data_collector.EpisodeBuffer(
        observations=[np.zeros(4, np.float32)] * 2,
        actions=[np.int64(0)],
        rewards=[1.0],
        terminations=[False],
        truncations=[True],
    )
    dataset = minari.create_dataset_from_buffers(
        "pole/noseed-v0", [buffer], env=env, jpeg_encoding=False
    )
    with pytest.raises(DemoError, match="has no seed"):
        demos_from_minari(dataset)
    lost = minari.create_dataset_from_buffers(
        "pole/noenv-v0",
        [buffer],
        action_space=env.action_space,
        observation_space=env.observation_space,
        jpeg_encoding=False,
    )
    with pytest.raises(DemoError, match="does not say which environment"):
        demos_from_minari(lost)


def test_what_cannot_be_exported():
    env = partial(gym.make, "CartPole-v1")
    with pytest.raises(InvalidArgumentError, match="no demonstrations"):
        demos_to_minari([], "pole/none-v0", gym.make("CartPole-v1"))
    demo = record(gym.make("CartPole-v1"), 5)
    with pytest.raises(DemoError, match="wrappers"):
        demos_to_minari([demo], "pole/flat-v0", FlattenObservation(gym.make("CartPole-v1")))
    other = gym.make("CartPole-v1", sutton_barto_reward=True)
    with pytest.raises(DemoError, match="nothing was written"):
        demos_to_minari([demo], "pole/wrong-v0", other)
    assert minari.list_local_datasets() == {}
    with pytest.raises(DemoError):
        demos_to_minari([demo, replace(demo, rewards=demo.rewards + 1)], "pole/half-v0", env())
    assert minari.list_local_datasets() == {}
    demos_to_minari([demo], "pole/one-v0", env())
    with pytest.raises(InvalidArgumentError, match="already"):
        demos_to_minari([demo], "pole/one-v0", env())


@pytest.mark.parametrize(
    "name",
    ["mydemos", "bad name", "bad name-v0", "a/b-v0", "", "x//y-v0", "../up-v0", "-v0"],
)
def test_a_malformed_id_leaves_the_store_as_it_was(tmp_path, name):
    env = gym.make("CartPole-v1")
    with pytest.raises(InvalidArgumentError, match="no id of a Minari dataset"):
        demos_to_minari([record(env, 5)], name, env)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["demos-v0", "ab/demos-v12", "ab/c/de_mos-v0"])
def test_well_formed_ids(name):
    env = gym.make("CartPole-v1")
    demos_to_minari([record(env, 5)], name, env)
    assert list(minari.list_local_datasets()) == [name]


def test_observations_that_minari_cannot_store(tmp_path):
    gym.register_envs(pytest.importorskip("minigrid", reason="MiniGrid is not installed"))
    env = gym.make("MiniGrid-Empty-5x5-v0")
    with pytest.raises(InvalidArgumentError, match="ImgObsWrapper"):
        demos_to_minari([record(env, 5)], "grid/demos-v0", env)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_minari_leaves_no_dataset(tmp_path):
    env = gym.make("CartPole-v1")
    with pytest.raises(AssertionError):
        demos_to_minari([record(env, 5)], "pole/demos-v0", env, author=object())
    assert not (tmp_path / "pole" / "demos-v0").exists()
    assert minari.list_local_datasets() == {}
