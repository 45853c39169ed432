"""Playing from the true start."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env

import tests.envs_for_tests
from hxwrappers.errors import (
    InvalidArgumentError,
)
from hxwrappers.runs.evaluation import Episode, episode_frames, evaluate
from hxwrappers.sb3.policy_file import Playable, load_policy, save_policy
from tests.sb3.samples import CARTPOLE, PAINTED, cartpole
from tests.toys import InPlace


class Scripted:
    """Always takes one action, and keeps what it was asked."""

    def __init__(self, environment=PAINTED, action=2):
        self.environment = environment
        self.action = action
        self.calls = []

    def predict(self, observations, state, episode_starts, deterministic):
        self.calls.append((len(observations), episode_starts.tolist()))
        return np.full(len(observations), self.action), None


def length_of(seed):
    """How long the corridor of a seed is."""
    env = tests.envs_for_tests.Painted()
    env.reset(seed=seed)
    return env.length


@pytest.mark.parametrize("num_envs", [1, 3, 50])
def test_every_episode_counts_once_whatever_its_length(num_envs):
    (plain,) = evaluate(Scripted(), ["plain"], episodes=20, seed=5, num_envs=num_envs)
    lengths = [length_of(episode.seed) for episode in plain.episodes]
    assert set(lengths) == {2, 3, 4, 5}
    assert [episode.length for episode in plain.episodes] == lengths
    assert [episode.score for episode in plain.episodes] == [2 * length for length in lengths]
    # Corridors of odd length end by truncation.
    assert [episode.ended for episode in plain.episodes] == [
        "truncated" if length % 2 else "terminated" for length in lengths
    ]
    assert plain.best.score == 10
    assert plain.best.actions == (2, 2, 2, 2, 2)
    assert plain.best.seed == plain.episodes[lengths.index(5)].seed
    assert not plain.repeats
    assert plain.summary().mean.value == pytest.approx(2 * np.mean(lengths))


def test_seeds_decide():
    def seeds(seed):
        found = evaluate(Scripted(), ["plain", "sticky"], episodes=3, seed=seed)
        return [[episode.seed for episode in evaluation.episodes] for evaluation in found]

    assert seeds(1) == seeds(1)
    drawn = [*seeds(1), *seeds(2)]
    assert len({seed for row in drawn for seed in row}) == 12


def test_those_who_are_done_are_not_asked_again():
    scripted = Scripted()
    (plain,) = evaluate(scripted, ["plain"], episodes=3, num_envs=2)
    lengths = [episode.length for episode in plain.episodes]
    assert sum(size for size, _ in scripted.calls) == sum(lengths)
    assert scripted.calls[0] == (2, [True, True])
    assert sum(sum(starts) for _, starts in scripted.calls) == 3


def test_sticky_actions_repeat():
    class Counting(Scripted):
        """Takes action 1 in the first step of an episode and 0 after that."""

        def predict(self, observations, state, episode_starts, deterministic):
            return episode_starts.astype(int), None

    (plain, sticky) = evaluate(Counting(), ["plain", "sticky"], episodes=400)
    assert {episode.score for episode in plain.episodes} == {1.0}
    scores = np.array([episode.score for episode in sticky.episodes])
    lengths = np.array([episode.length for episode in sticky.episodes])
    # Each further step repeats the 1 with probability 1/4, as long as no step did not.
    assert (scores[lengths == 2] > 1).mean() == pytest.approx(0.25, abs=0.12)
    assert scores.max() <= 5


def test_epsilon_takes_one_action_in_a_hundred_at_random():
    (epsilon,) = evaluate(Scripted(action=0), ["epsilon"], episodes=3000, num_envs=64)
    steps = sum(episode.length for episode in epsilon.episodes)
    # Of three actions two earn their number: 0.01 * (0 + 1 + 2) / 3 a step.
    earned = sum(episode.score for episode in epsilon.episodes) / steps
    assert earned == pytest.approx(0.01, abs=0.003)
    assert any(action != 0 for action in epsilon.best.actions)


def test_a_deterministic_game_is_played_once():
    pytest.importorskip("ale_py")
    pong = {"maker": "atari", "game": "pong", "settings": {}}
    (plain,) = evaluate(Scripted(pong, 0), ["plain"], deterministic=True, max_steps=3)
    assert plain.repeats
    assert len(plain.episodes) == 1
    assert plain.episodes[0].ended == "cut"
    (sampled,) = evaluate(Scripted(pong, 0), ["plain"], episodes=2, max_steps=3)
    assert not sampled.repeats
    assert len(sampled.episodes) == 2


@pytest.fixture
def playable(tmp_path):
    save_policy(tmp_path / "policy.safetensors", cartpole(), CARTPOLE)
    return load_policy(tmp_path / "policy.safetensors", "cpu")


def test_cartpole(playable):
    def scores(**options):
        (plain,) = evaluate(playable, ["plain"], episodes=6, max_steps=60, num_envs=3, **options)
        return [episode.score for episode in plain.episodes]

    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert scores() == scores()
    assert torch.equal(torch.get_rng_state(), before)
    assert scores(deterministic=True) == scores(deterministic=True, seed=0)
    assert all(1 <= score <= 60 for score in scores())


def test_recurrent_states_follow_their_episodes(tmp_path):
    model = RecurrentPPO(
        "MlpLstmPolicy",
        make_vec_env("CartPole-v1"),
        policy_kwargs={"lstm_hidden_size": 8},
        device="cpu",
        seed=0,
    )
    save_policy(tmp_path / "p.safetensors", model, CARTPOLE)
    recurrent = load_policy(tmp_path / "p.safetensors", "cpu")
    alone, together = (
        evaluate(recurrent, ["plain"], episodes=7, num_envs=number, deterministic=True)
        for number in (1, 3)
    )
    assert alone[0].episodes == together[0].episodes
    assert alone[0].best.actions == together[0].best.actions


def test_the_best_episode_can_be_seen():
    (sticky,) = evaluate(Scripted(), ["sticky"], episodes=10)
    frames = list(episode_frames(PAINTED, "sticky", sticky.best))
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 40, 80, 120, 160, 200]
    with pytest.raises(InvalidArgumentError, match="keeps its actions"):
        list(episode_frames(PAINTED, "sticky", sticky.episodes[0]))
    other = Episode(sticky.best.seed, 3.0, 5, "truncated", sticky.best.actions)
    with pytest.raises(InvalidArgumentError, match="scores 10 instead of 3"):
        list(episode_frames(PAINTED, "sticky", other))


def test_the_actions_are_those_that_were_taken():
    class Gentle(Scripted):
        def predict(self, observations, state, episode_starts, deterministic):
            return np.full((len(observations), 1), 0.25, np.float32), None

    arm = {"maker": "function", "function": InPlace}
    (plain,) = evaluate(Gentle(arm), ["plain"], episodes=2)  # it changes its actions in place
    assert plain.best.actions == (0.25,) * 5
    for _ in range(2):
        assert len(list(episode_frames(arm, "plain", plain.best))) == 6


def test_progress():
    heard = []
    evaluate(Scripted(), ["plain", "epsilon"], episodes=3, progress=heard.append)
    assert heard == [1, 2, 3, 4, 5, 6]


def test_what_is_refused(playable):
    with pytest.raises(InvalidArgumentError, match="one or more"):
        evaluate(Scripted(), [])
    with pytest.raises(InvalidArgumentError, match="different"):
        evaluate(Scripted(), ["plain", "plain"])
    with pytest.raises(InvalidArgumentError, match="'late'"):
        evaluate(Scripted(), ["late"])
    with pytest.raises(InvalidArgumentError, match="episodes is 0"):
        evaluate(Scripted(), episodes=0)
    one = tests.envs_for_tests.Painted()
    same = Scripted({"maker": "function", "function": lambda: gym.wrappers.TimeLimit(one, 3)})
    with pytest.raises(InvalidArgumentError, match="a new one each time"):
        evaluate(same, ["plain"], episodes=2)
    misplaced = Playable(playable.policy, PAINTED, "PPO")
    with pytest.raises(InvalidArgumentError, match="its environment has"):
        evaluate(misplaced, ["plain"])
