import io
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import data_equivalence
from hypothesis import given, settings
from hypothesis import strategies as st

import hxwrappers
from hxwrappers import DemoResetCurriculum, SkipReplayedSteps, StickyActions
from hxwrappers.bridge.actions import find_stickiness
from hxwrappers.errors import CheckpointError, InvalidArgumentError, StackedStickinessWarning
from hxwrappers.files.generators import own_generator
from tests.demos.samples import lake_demo, lake_env
from tests.toys import ACTION_SPACES, make_echo
from tests.wrappers.curricula import from_step, tracker_of

gym.register_envs(ale_py)


def play(env: gym.Env[Any, Any], actions: list[Any]) -> list[bool]:
    """Step through the actions, resetting after each end, and return which steps repeated."""
    repeated = []
    for action in actions:
        _, _, terminated, truncated, info = env.step(action)
        repeated.append(info["sticky_action"])
        if terminated or truncated:
            env.reset()
    return repeated


def test_repeats_the_executed_action_and_never_in_the_first_step():
    env = StickyActions(make_echo(length=5), 0.5)
    env.reset(seed=0)
    asked = [1, 2, 3, 4, 5] * 20
    repeated = play(env, asked)
    coins = own_generator(0, "StickyActions")
    expected, last = [], None
    for index, action in enumerate(asked):
        sticky = index % 5 != 0 and coins.random() < 0.5
        last = last if sticky else action
        expected.append((sticky, last))
    assert list(zip(repeated, env.unwrapped.executed, strict=True)) == expected
    assert any(repeated)
    assert not any(repeated[::5])


@pytest.mark.parametrize("kind", ACTION_SPACES)
def test_any_action_space(kind):
    env = StickyActions(make_echo(length=6, kind=kind), 0.5)
    env.action_space.seed(1)
    env.reset(seed=1)
    asked = [env.action_space.sample() for _ in range(60)]
    repeated = play(env, asked)
    last: Any = None
    for sticky, action, executed in zip(repeated, asked, env.unwrapped.executed, strict=True):
        last = last if sticky else action
        assert data_equivalence(executed, last)


def test_callers_may_reuse_their_action_array():
    env = StickyActions(make_echo(length=100, kind="box"), 0.9)
    env.reset(seed=0)
    action = np.full(2, 0.5, np.float32)
    env.step(action)
    action[:] = -1
    observation, *_, info = env.step(action)
    assert info["sticky_action"]
    assert observation[1] == 1.0


@given(probability=st.floats(0, 0.99), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_same_seed_same_trajectory_and_the_env_keeps_its_randomness(probability, seed):
    bare, *sticky = make_echo(), *(StickyActions(make_echo(), probability) for _ in range(2))
    for env in (bare, *sticky):
        env.reset(seed=seed)
    for action in (0, 1, 2):
        expected = bare.step(action)[0]
        seen = [env.step(action)[0] for env in sticky]
        np.testing.assert_array_equal(seen[0], seen[1])
        assert seen[0][2] == expected[2]


def test_the_share_of_repeated_steps_is_the_probability():
    env = StickyActions(make_echo(length=10**6))
    env.reset(seed=0)
    assert np.mean(play(env, [0] * 10_000)) == pytest.approx(0.25, abs=0.015)
    env.repeat_probability = 0.0
    assert not any(play(env, [0] * 100))


@pytest.mark.parametrize("probability", [-0.1, 1.0, 2, float("nan")])
def test_refuses_what_is_no_probability(probability):
    with pytest.raises(InvalidArgumentError, match="at least 0 and less than 1"):
        StickyActions(make_echo(), probability)
    env = StickyActions(make_echo())
    with pytest.raises(InvalidArgumentError):
        env.repeat_probability = probability


@pytest.mark.parametrize("kind", ACTION_SPACES)
def test_continues_from_a_saved_state(kind):
    envs = [StickyActions(make_echo(length=50, kind=kind), p) for p in (0.5, 0.1)]
    for env in envs:
        env.action_space.seed(1)
    actions = [envs[0].action_space.sample() for _ in range(40)]
    envs[0].reset(seed=3)
    envs[1].env.reset(seed=3)
    play(envs[0], actions[:10])
    for action in envs[0].unwrapped.executed:
        envs[1].env.step(action)
    file = io.BytesIO()
    torch.save(envs[0].state_dict(), file)
    file.seek(0)
    envs[1].load_state_dict(torch.load(file, weights_only=True))
    for action in actions[10:]:
        straight, resumed = (env.step(action) for env in envs)
        np.testing.assert_array_equal(straight[0], resumed[0])
        assert data_equivalence(straight[4], resumed[4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generators": []}, "holds 0 environments"),
        ({"action_space": "Discrete(9)"}, "belongs to the actions Discrete"),
        ({"generators": [{"bit_generator": "MT19937"}]}, "PCG64"),
        ({"first_step": None}, "holds 1 environments"),
        ({"replaying": [False, True]}, "holds 1 environments"),
    ],
)
def test_refuses_a_state_of_something_else(change, message):
    env = StickyActions(make_echo())
    with pytest.raises(CheckpointError, match=message):
        env.load_state_dict({**env.state_dict(), **change})
    with pytest.raises(CheckpointError, match="not a state of sticky actions"):
        env.load_state_dict({})


def test_the_spec_goes_through_json():
    env = StickyActions(make_echo(), repeat_probability=0.4)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, hxwrappers.StickyActions)
    assert again.repeat_probability == 0.4
    assert again.spec == env.spec


@pytest.mark.parametrize(
    "make",
    [
        lambda: StickyActions(make_echo()),
        lambda: gym.wrappers.TimeLimit(gym.wrappers.StickyAction(make_echo(), 0.3), 5),
        lambda: gym.make("ALE/Pong-v5"),
    ],
)
def test_warns_when_the_env_is_sticky_already(make):
    with pytest.warns(StackedStickinessWarning, match="stacked twice"):
        StickyActions(make())


def test_does_not_warn_about_an_emulator_that_is_not_sticky():
    env = gym.make("ALE/Pong-v5", repeat_action_probability=0.0)
    assert find_stickiness(env) is None
    StickyActions(env)


def replaying(steps, probability=0.9):
    demo = lake_demo()
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo), replay_steps=steps)
    return StickyActions(env, probability)


def test_the_first_own_step_after_a_replay_is_never_sticky():
    env = SkipReplayedSteps(replaying(2))
    for _ in range(30):
        from_step(env, 4)
        observation, *_, info = env.step(1)
        assert not info["sticky_action"]
        assert observation == 13  # against the lower wall


def test_replayed_steps_toss_no_coin():
    def own_steps(env, replayed):
        repeated = []
        for start in range(20):
            _, info = env.reset(seed=0 if not start else None, options={"starting_point": 4})
            for step in range(replayed):
                assert info["replaying"]
                *_, info = env.step(step)
                assert not info["sticky_action"]
            for _ in range(4):
                *_, info = env.step(1)  # against the wall
                repeated.append(info["sticky_action"])
        return repeated

    plain = own_steps(replaying(0, 0.5), 0)
    assert own_steps(replaying(2, 0.5), 2) == plain
    assert any(plain)
    assert not any(plain[::4])


def test_continues_in_the_midst_of_a_replay():
    straight, resumed = replaying(2), replaying(2)
    straight.reset(seed=0, options={"starting_point": 4})
    straight.step(0)
    resumed.load_state_dict(straight.state_dict())
    from_step(resumed.env, 4)
    resumed.env.step(0)
    for action in (3, 0, 2, 1):
        assert straight.step(action)[4]["sticky_action"] == resumed.step(action)[4]["sticky_action"]


def test_a_state_without_replays():
    env = StickyActions(make_echo())
    state = env.state_dict()
    del state["replaying"]
    env.load_state_dict(state)  # of an earlier version


def test_the_first_step_after_an_autoreset_is_never_sticky():
    sticky = StickyActions(gym.wrappers.Autoreset(make_echo(length=5)), 0.6)
    sticky.reset(seed=0)
    repeated = np.array([sticky.step(step % 5)[4]["sticky_action"] for step in range(600)])
    by_step = repeated.reshape(-1, 6)  # the last one only resets
    assert not by_step[:, [0, 5]].any()
    assert by_step[:, 1:5].mean() == pytest.approx(0.6, abs=0.08)
