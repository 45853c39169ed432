"""Unrolls hold exactly what the environments did, in every autoreset mode."""

import gc
from functools import partial
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.actor import ActorJob, Failure, Ready
from hxwrappers.impala.layout import EnvSpec, Layout
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.policy import play
from hxwrappers.impala.ray_actors import _RemoteActor
from hxwrappers.impala.reports import EpisodeWatch
from hxwrappers.impala.sampler import NetPolicy, Sampler
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import UnrollShape, flat_weights
from tests.envs_for_tests import Corridor

MODES = list(AutoresetMode)
NUM_ENVS = 3


class CountingPolicy:
    """Chooses by the observation; its state counts the steps of the episode."""

    version = 0
    needs_previous = False

    def refresh(self):
        self.version += 1
        return self.version

    def initial_state(self, num_envs):
        return np.zeros((2, num_envs, 1), dtype=np.float32)

    def act(self, parts, starts, state):
        state = np.where(starts[:, None], 0, state).astype(np.float32) + 1
        actions = np.array([action_for(row) for row in parts["observation"]])
        return actions, -actions.astype(np.float32), state

    def values(self, parts, state):
        return parts["observation"].sum(-1) + 100 * state[0, :, 0]


def action_for(observation) -> int:
    return round(float(observation[1]) * 1000) % 3


def make(mode, **options):
    return SyncVectorEnv([partial(Corridor, **options)] * NUM_ENVS, autoreset_mode=mode)


def shape_for(env, length) -> UnrollShape:
    return UnrollShape(
        Layout.of(env.single_observation_space), length, env.num_envs, 1, NumberedActions(3)
    )


def unrolls(mode, number, length=7):
    env, policy = make(mode), CountingPolicy()
    shape = shape_for(env, length)
    sampler = Sampler(env, policy, 5)
    filled = [shape.allocate() for _ in range(number)]
    return filled, [sampler.play(unroll) for unroll in filled]


def expected(lane, steps):
    """What one environment alone does: rows of (observation, start, action, reward, ends, ...)."""
    env, policy = Corridor(), CountingPolicy()
    observation, _ = env.reset(seed=5 + lane)
    start, count, rows = True, 0, []
    for _ in range(steps):
        action = action_for(observation)
        after, reward, terminated, truncated, _ = env.step(action)
        count = 1 if start else count + 1
        state = np.full((2, 1, 1), count)
        final = policy.values({"observation": after[None]}, state)[0] if truncated else 0.0
        rows.append((observation, start, action, reward, terminated, truncated, final, count - 1))
        start = terminated or truncated
        observation = env.reset()[0] if start else after
    return rows


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_tells_the_same_story(mode):
    filled, reports = unrolls(mode, 5)
    for lane in range(NUM_ENVS):
        rows = []
        for unroll in filled:
            count = unroll.state[0, lane, 0]
            for t in range(len(unroll.actions)):
                start = bool(unroll.starts[t, lane])
                count = 0 if start else count
                if unroll.valid[t, lane]:
                    truncated, final = bool(unroll.truncated[t, lane]), 0.0
                    if truncated and unroll.starts[t + 1, lane]:
                        final = float(unroll.final_values[t, lane])
                    elif truncated:
                        state = np.full((2, 1, 1), count + 1)
                        after = unroll.observations["observation"][t + 1, lane]
                        final = CountingPolicy().values({"observation": after[None]}, state)[0]
                    rows.append(
                        (
                            unroll.observations["observation"][t, lane],
                            start,
                            int(unroll.actions[t, lane]),
                            float(unroll.rewards[t, lane]),
                            bool(unroll.terminated[t, lane]),
                            truncated,
                            final,
                            count,
                        )
                    )
                    assert unroll.log_mus[t, lane] == -unroll.actions[t, lane]
                else:
                    assert mode == AutoresetMode.NEXT_STEP
                    assert unroll.rewards[t, lane] == 0
                    assert not unroll.terminated[t, lane] | unroll.truncated[t, lane]
                count += 1
        wanted = expected(lane, len(rows))
        for one, other in zip(rows, wanted, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            assert one[1:6] == other[1:6]
            assert one[6] == pytest.approx(other[6], rel=1e-6)
            assert one[7] == other[7]
    assert [report.version for report in reports] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("mode", MODES)
def test_unrolls_follow_each_other_without_a_gap(mode):
    filled, _ = unrolls(mode, 3)
    for before, after in pairwise(filled):
        for name, part in before.observations.items():
            np.testing.assert_array_equal(part[-1], after.observations[name][0])
        np.testing.assert_array_equal(before.starts[-1], after.starts[0])


@pytest.mark.parametrize("mode", MODES)
def test_reports_tell_of_the_episodes(mode):
    _, reports = unrolls(mode, 10)
    episodes = [episode for report in reports for episode in report.episodes]
    for lane in range(NUM_ENVS):
        reported_cause = [(e.reward_sum, e.length) for e in episodes if e.lane == lane]
        wanted, total, length = [], 0.0, 0
        for row in expected(lane, 200):
            total, length = total + row[3], length + 1
            if row[4] or row[5]:
                wanted.append((total, length))
                total, length = 0.0, 0
        assert reported_cause == wanted[: len(reported_cause)]
        assert len(reported_cause) > 10


class Telling(gym.Wrapper):
    """Writes values into its infos as the wrappers of this library do."""

    def step(self, action):
        *rest, info = self.env.step(action)
        reported_cause = {"imitation/matched": 2.0, "extrinsic_reward": 3.0, "imitation_share": 0.5}
        return *rest, info | reported_cause | {"secret": 1.0}


@pytest.mark.parametrize("mode", MODES)
def test_scores_and_values_are_found_in_the_infos(mode):
    make_one = lambda: gym.wrappers.RecordEpisodeStatistics(Telling(Corridor()))  # noqa: E731
    env = SyncVectorEnv([make_one] * NUM_ENVS, autoreset_mode=mode)
    env = gym.wrappers.vector.TransformReward(env, lambda rewards: rewards + 10)
    sampler = Sampler(env, CountingPolicy(), 5)
    unroll = shape_for(env, 30).allocate()
    sampler.fill(unroll)
    report = sampler.watch.report(3)
    assert report.sums.keys() == {"imitation/matched", "extrinsic_reward", "imitation/share_mean"}
    assert report.sums["imitation/share_mean"] == (
        0.5 * len(report.episodes),
        len(report.episodes),
    )
    total, count = report.sums["imitation/matched"]
    assert total == 2 * count
    assert count == unroll.valid.sum()
    for episode in report.episodes:
        assert episode.reward_sum == episode.score + 10 * episode.length
    assert sampler.watch.report(4).episodes == []


@pytest.mark.skipif(
    tuple(map(int, gym.__version__.split(".")[:2])) < (1, 4),
    reason="until Gymnasium 1.4 its vector statistics forget the first step after SAME_STEP resets",
)
def test_vector_statistics_are_found_too():
    env = gym.wrappers.vector.RecordEpisodeStatistics(make(AutoresetMode.SAME_STEP))
    env = gym.wrappers.vector.TransformReward(env, lambda rewards: rewards + 10)
    episodes = play(env, CountingPolicy(), 10)
    assert [sum(e.lane == lane for e in episodes) for lane in range(NUM_ENVS)] == [4, 4, 4]
    for episode in episodes:
        assert episode.reward_sum == episode.score + 10 * episode.length


@pytest.mark.parametrize("mode", MODES)
def test_episodes_without_an_end_are_cut(mode):
    endless = make(mode, shortest=1000, longest=1000)
    episodes = play(endless, CountingPolicy(), 6, max_steps=50)
    assert [(episode.length, episode.cut) for episode in episodes] == [(50, True)] * 6
    assert [episode.lane for episode in episodes] == [0, 1, 2] * 2


@pytest.mark.parametrize("mode", MODES)
def test_what_is_cut_begins_anew(mode):
    env = make(mode, shortest=2, longest=9)
    episodes = play(env, CountingPolicy(), 60, max_steps=6)
    for lane in range(NUM_ENVS):
        mine = [episode for episode in episodes if episode.lane == lane]
        assert len(mine) == 20
        assert {episode.length for episode in mine if episode.cut} == {6}
        assert {episode.length for episode in mine if not episode.cut} <= {2, 3, 4, 5, 6}
        # Three of eight lengths are above six; what is left of those never counts as an episode.
        assert 3 <= sum(episode.cut for episode in mine) <= 13
    assert not any(episode.cut for episode in play(make(mode), CountingPolicy(), 60))


def test_a_cut_episode_has_what_was_earned_until_then():
    env, total = Corridor(1000, 1000), 0.0
    observation, _ = env.reset(seed=5)
    for _ in range(50):
        observation, reward, *_ = env.step(action_for(observation))
        total += reward
    env = SyncVectorEnv([partial(Corridor, 1000, 1000)])
    assert play(env, CountingPolicy(), 1, seed=5, max_steps=50) == [(0, total, total, 50, True)]


def test_playing_less_than_nothing():
    with pytest.raises(InvalidArgumentError, match="episodes is -2"):
        play(make(AutoresetMode.SAME_STEP), CountingPolicy(), -2)
    with pytest.raises(InvalidArgumentError, match="max_steps is 0"):
        play(make(AutoresetMode.SAME_STEP), CountingPolicy(), 1, max_steps=0)


def test_playing_tells_how_far_it_is():
    reported_cause = []
    env = make(AutoresetMode.SAME_STEP)
    play(env, CountingPolicy(), 10, progress=lambda *counts: reported_cause.append(counts))
    assert reported_cause[-1] == (12, 12)  # rounded up to the three environments
    assert reported_cause == sorted(reported_cause)
    assert {wanted for _, wanted in reported_cause} == {12}


def test_actions_may_begin_at_another_number():
    class Shifted(Corridor):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.Discrete(3, start=5)

        def step(self, action):
            assert self.action_space.contains(action)
            return super().step(action)

    env = SyncVectorEnv([Shifted] * NUM_ENVS)
    unroll = shape_for(env, 20).allocate()
    Sampler(env, CountingPolicy(), 5).fill(unroll)
    assert set(unroll.actions.flatten()) <= {0, 1, 2}


def test_dict_observations_in_same_step_mode():
    class Progress(gym.ObservationWrapper):
        def __init__(self):
            super().__init__(Corridor())
            inner = self.env.observation_space
            progress = spaces.Box(-np.inf, np.inf, (1,), np.float32)
            self.observation_space = spaces.Dict(observation=inner, progress=progress)

        def observation(self, observation):
            return {"observation": observation, "progress": observation[1:] * 2}

    env = SyncVectorEnv([Progress] * NUM_ENVS, autoreset_mode=AutoresetMode.SAME_STEP)
    unroll = shape_for(env, 30).allocate()
    Sampler(env, CountingPolicy(), 5).fill(unroll)
    np.testing.assert_array_equal(
        unroll.observations["progress"], unroll.observations["observation"][..., 1:] * 2
    )
    lane = 0
    finals = [row[6] for row in expected(lane, 30) if row[5]]
    np.testing.assert_allclose(unroll.final_values[unroll.truncated[:, lane], lane], finals, 1e-6)


def test_an_actor_on_another_machine_plays_one_unroll_a_call():
    env = make(AutoresetMode.NEXT_STEP)
    settings = ImpalaSettings(envs_per_actor=NUM_ENVS, batch_size=NUM_ENVS, unroll_length=7)
    spec = EnvSpec.of(env)
    net = ImpalaNet.of(spec, settings, "float32")
    weights = flat_weights(net).numpy()
    make_env = partial(make, AutoresetMode.NEXT_STEP)
    actor = _RemoteActor(ActorJob(make_env, spec, settings, "float32", seed=5))
    assert isinstance(actor.play(weights, 3), Failure)  # it is not prepared
    assert isinstance(actor.prepare(), Ready)
    (before, report), (after, _) = actor.play(weights, 3), actor.play(weights, 4)
    assert report.version == 3
    np.testing.assert_array_equal(
        before.observations["observation"][-1], after.observations["observation"][0]
    )
    assert before.log_mus.all()


def test_spaces_that_are_refused():
    class Binary(Corridor):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.MultiBinary(2)

    with pytest.raises(InvalidArgumentError, match="of a Discrete or a Box"):
        Sampler(SyncVectorEnv([Binary]), CountingPolicy(), 0)


def test_infos_of_other_shapes_are_left_alone():
    watch = EpisodeWatch(2)
    yes, no = np.ones(2, dtype=bool), np.zeros(2, dtype=bool)
    infos = {"a/text": np.array(["x", "y"]), "a/wide": np.ones((2, 3)), "a/one": np.ones(2)}
    infos["_a/one"] = np.array([True, False])
    watch.step(np.zeros(2), no, yes, infos)
    assert watch.report(0).sums == {"a/one": (1.0, 1)}


def test_what_is_told_twice_of_a_last_step_counts_once():
    watch = EpisodeWatch(2)
    valid, over = np.ones(2, dtype=bool), np.array([False, True])
    told = {"intrinsic_reward": np.array([0.0, 5.0]), "_intrinsic_reward": over}
    infos = {"intrinsic_reward": np.array([1.0, 5.0]), "_intrinsic_reward": valid}
    watch.step(np.zeros(2), over, valid, infos | {"final_info": told})
    assert watch.report(0).sums == {"intrinsic_reward": (6.0, 2)}


BAD_STEP = 4


class Faulty(gym.Env):
    """Gives one bad number in its fourth step, or at its first reset (step 0); ends in its sixth.

    Its first episode is cut by its fourth step where `cut`.
    """

    def __init__(self, key, value, at=BAD_STEP, cut=False):
        self.key, self.value, self.at, self.cut = key, value, at, cut
        self.observation_space = spaces.Dict(
            observation=spaces.Box(-1, 1, (3,), np.float32), speed=spaces.Box(-1, 1, ())
        )
        self.action_space = spaces.Discrete(3)

    def _observation(self):
        observation = {
            "observation": np.zeros(3, np.float32),
            "speed": np.float32(0),
        }
        if self.count == self.at and self.key == "observation":
            observation["observation"][2] = self.value
        elif self.count == self.at and self.key == "speed":
            observation["speed"] = np.float32(self.value)
        return observation

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self._observation(), {}

    def step(self, action):
        self.count += 1
        reward = self.value if self.count == self.at and self.key == "reward" else 0.0
        cut = self.cut and self.count == self.at
        return self._observation(), reward, self.count == 6, cut, {}


def play_faulty(mode=AutoresetMode.NEXT_STEP, **options):
    fine = partial(Faulty, "nothing", 0.0)
    env = SyncVectorEnv([fine, partial(Faulty, **options)], autoreset_mode=mode)
    spec = EnvSpec.of(env)
    assert spec.actions == NumberedActions(3)
    unroll = UnrollShape(spec.layout, 20, 2, 1, spec.actions).allocate()
    Sampler(env, CountingPolicy(), 0).fill(unroll)
    return unroll


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("reward", np.nan, InvalidArgumentError, "gave the reward nan"),
        ("reward", -np.inf, InvalidArgumentError, "gave the reward -inf"),
        (
            "observation",
            np.nan,
            InvalidArgumentError,
            r"nan under the key 'observation' at \[2\]",
        ),
        ("speed", np.inf, InvalidArgumentError, "inf under the key 'speed'"),
    ],
)
def test_the_environment_the_step_and_the_key_are_named(mode, key, value, error, message):
    with pytest.raises(error, match=f"number 1 of its actor, in step 4 of its episode.*{message}"):
        play_faulty(mode, key=key, value=value)


def test_the_first_observation():
    with pytest.raises(InvalidArgumentError, match=r"step 0 of its episode.*'speed'"):
        play_faulty(key="speed", value=np.nan, at=0)


def test_the_observation_that_an_episode_was_cut_at():
    with pytest.raises(InvalidArgumentError, match=r"number 1 of .*'speed'"):
        play_faulty(AutoresetMode.SAME_STEP, key="speed", value=np.nan, cut=True)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_steps_are_counted_anew_in_each_episode(mode):
    assert play_faulty(mode, key="reward", value=1.0).rewards.sum() >= 3


def tensors():
    gc.collect()
    return sum(type(thing) is torch.Tensor for thing in gc.get_objects())


@pytest.mark.parametrize("lstm", [5, pytest.param(0, marks=pytest.mark.slow)])
def test_nothing_is_kept_of_earlier_steps(lstm):
    net = ImpalaNet(Layout.of(spaces.Box(-1, 1, (3,))), NumberedActions(2), net="mlp", lstm=lstm)
    policy = NetPolicy(net)
    parts, starts = {"observation": np.zeros((4, 3))}, np.zeros(4, dtype=bool)
    state = policy.initial_state(4)
    counts = []
    for _ in range(3):
        for _ in range(10):
            state = policy.act(parts, starts, state)[2]
        assert state.shape == (2, 4, lstm)
        counts.append(tensors())
    assert counts[1] == counts[2]
