"""Environments from plain descriptions."""

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.bridge.imitation import steps_per_second
from hxwrappers.cli.demo_record import _speed
from hxwrappers.demos.environment import frames_per_step
from hxwrappers.envs import recipes
from hxwrappers.envs.recipes import (
    frames_per_second,
    knows_noop,
    make_from_recipe,
    make_vector,
    recipe_of,
)
from hxwrappers.envs.starts import IdleStart
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder import find_keys
from hxwrappers.wrappers import StickyActions

PONG = {"maker": "atari", "game": "pong", "settings": {"preset": "cnd", "frame_skip": 5}}
DOOR = {"maker": "minigrid", "game": "DoorKey-5x5", "settings": {"view": "full"}}
CARTPOLE = {"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {}}


def emulator_stickiness(env):
    return env.unwrapped.ale.getFloat("repeat_action_probability")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("ALE/Pong-v5", "ale_py"),
        ("MiniGrid-Empty-5x5-v0", "minigrid"),
        ("procgen/coinrun", "procgen"),
        ("CartPole-v1", "gymnasium"),
    ],
)
def test_each_kind_of_name_makes_one_environment_and_many(name, package):
    pytest.importorskip(package)
    one, many = make_from_recipe(recipe_of(name, {})), make_vector(name, 2)
    assert many.num_envs == 2
    for env in (one, many):
        env.reset(seed=0)
        env.close()


@pytest.mark.parametrize(
    ("name", "package", "settings"),
    [
        ("ALE/Pong-v5", "ale_py", {"backend": "restorable", "num_workers": 0, "frame_skip": 2}),
        ("ALE/MontezumaRevenge-v5", "ale_py", {"backend": "sync", "track_rooms": True}),
        ("MiniGrid-DoorKey-5x5-v0", "minigrid", {"see_through_walls": True, "max_steps": 9}),
        ("BabyAI-GoToRedBallNoDists-v0", "minigrid", {"backend": "sync"}),
        ("procgen/coinrun", "procgen", {"frame_stack": 2}),
        ("CartPole-v1", "gymnasium", {"max_episode_steps": 9}),
    ],
)
def test_what_many_were_made_with_makes_one(name, package, settings):
    pytest.importorskip(package)
    many, one = make_vector(name, 2, **settings), make_from_recipe(recipe_of(name, settings))
    assert one.observation_space == many.single_observation_space
    one.close()
    many.close()


def layers(env):
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env


def test_the_score_is_that_of_all_lives():
    settings = {"terminal_on_life_loss": True, "frame_skip": 4}
    env = make_from_recipe({"maker": "atari", "game": "breakout", "settings": settings})
    env.action_space.seed(0)
    env.reset(seed=0)
    done = False
    while not done:
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        done = terminated or truncated
    assert info["lives"] == 0


def test_a_random_frame_skip_is_not_deterministic():
    recipe = {"maker": "gymnasium", "id": "ALE/Pong-v5", "kwargs": {}}
    assert recipes.is_deterministic(recipe)
    drawn = {**recipe, "kwargs": {"frameskip": [2, 5]}}
    assert not recipes.is_deterministic(drawn)
    assert make_from_recipe(drawn).unwrapped._frameskip == (2, 5)


@pytest.mark.parametrize(
    ("name", "kwargs", "rate"),
    [
        ("ALE/Pong-v5", {}, 15),
        ("ALE/Pong-v5", {"frameskip": 1}, 60),
        ("ALE/Pong-v5", {"frameskip": [2, 5]}, 20),  # 2, 3 or 4
        ("PongNoFrameskip-v4", {}, 60),
    ],
)
def test_videos_and_players_run_at_the_speed_of_the_game(name, kwargs, rate):
    pytest.importorskip("ale_py")
    recipe = {"maker": "gymnasium", "id": name, "kwargs": kwargs}
    env = make_from_recipe(recipe)
    assert frames_per_step(env) == 60 / rate
    assert frames_per_second(recipe, env) == rate
    assert steps_per_second(env) == rate
    assert _speed(env, f"ALE/{name}", find_keys(env)) == rate


def test_repeated_actions_are_fewer_steps_a_second():
    pytest.importorskip("ale_py")
    env = gym.make("ALE/Pong-v5", frameskip=1)
    assert steps_per_second(gym.wrappers.RepeatAction(env, 4)) == 15
    assert steps_per_second(gym.wrappers.MaxAndSkipObservation(env, 4)) == 15


def test_atari_without_what_is_for_training():
    env = make_from_recipe(PONG)
    assert env.observation_space.shape == (4, 96, 96)  # of the preset
    assert emulator_stickiness(env) == 0  # not of the preset
    assert not any(isinstance(layer, gym.wrappers.ClipReward) for layer in layers(env))
    assert frames_per_second(PONG, env) == 12
    (frames,) = (
        layer for layer in layers(env) if isinstance(layer, gym.wrappers.AtariPreprocessing)
    )
    assert frames.noop_max == 0


def test_atari_under_the_other_conditions():
    pytest.importorskip("ale_py")
    assert emulator_stickiness(make_from_recipe(PONG, start="sticky")) == np.float32(0.25)
    idle = make_from_recipe(PONG, start="noop")
    assert 1 <= idle.reset(seed=3)[1]["frame_number"] <= 31
    raw = {"maker": "gymnasium", "id": "ALE/Pong-v5", "kwargs": {"obs_type": "ram"}}
    assert emulator_stickiness(make_from_recipe(raw)) == 0
    assert emulator_stickiness(make_from_recipe(raw, start="sticky")) == np.float32(0.25)
    assert knows_noop(raw)


def test_other_environments_under_the_other_conditions():
    env = make_from_recipe(DOOR, start="sticky")
    assert isinstance(env, StickyActions)
    assert env.repeat_probability == 0.25
    assert isinstance(make_from_recipe(DOOR, start="noop"), IdleStart)
    assert make_from_recipe(DOOR, start="epsilon").observation_space.shape == (21, 5, 5)
    assert not knows_noop(CARTPOLE)
    with pytest.raises(InvalidArgumentError, match="CartPole-v1 knows no action"):
        make_from_recipe(CARTPOLE, start="noop")


def test_idle_steps_are_drawn_from_the_seed():
    def begin(env, seed):
        env.reset(seed=seed)
        return env.idle_steps

    env = IdleStart(make_from_recipe(DOOR), 6, noop_max=3)
    drawn = [begin(env, seed) for seed in range(40)]
    assert set(drawn) == {1, 2, 3}
    assert drawn == [begin(env, seed) for seed in range(40)]
    assert env.unwrapped.step_count == drawn[-1]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"frameskip": [2, 5]},
        *(pytest.param(kwargs, marks=pytest.mark.slow) for kwargs in ({}, {"frameskip": 8})),
    ],
)
def test_idle_frames_are_the_emulators(kwargs):
    def frames(env):
        return env.unwrapped.ale.getEpisodeFrameNumber()

    env = make_from_recipe(
        {"maker": "gymnasium", "id": "ALE/Pong-v5", "kwargs": kwargs}, start="noop"
    )
    idle = []
    for seed in range(12):
        env.reset(seed=seed)
        assert frames(env) == env.idle_steps
        idle.append(frames(env))
    assert 1 <= min(idle) < max(idle) <= 30
    env.step(0)
    skips = np.ravel(kwargs.get("frameskip", 4))
    assert skips.min() <= frames(env) - idle[-1] <= skips.max()


def test_idle_steps_that_end_the_episode():
    env = gym.wrappers.TimeLimit(gym.make("CliffWalking-v1"), 1)
    observation, _ = IdleStart(env, 3).reset(seed=0)
    assert observation == 36
    assert env.step(3)[3]  # the first step of an episode without idle ones


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({}, "does not describe an environment"),
        (None, "does not describe an environment"),
        ({"maker": "os", "game": "system", "settings": {}}, "does not describe"),
        ({"maker": "gymnasium", "id": "os:Env-v0"}, "not registered"),
        ({"maker": "gymnasium", "id": "NoSuch-v0"}, "not registered"),
        ({"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {"speed": 3}}, "speed"),
        ({"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {"id": "x"}}, "there may only be"),
        ({"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {"f": print}}, "plain values"),
        ({"maker": "gymnasium", "id": "CartPole-v1", "wrappers": ["x"]}, "there may only be"),
        ({"maker": "atari", "game": "pong", "settings": {"frame_wrapper": "x"}}, "frame_skip"),
        ({"maker": "atari", "game": "pong", "settings": {"frame_skip": "x"}}, "No environment"),
        ({"maker": "atari", "game": "pong", "settings": [1]}, "there may only be"),
        ({"maker": "atari", "game": "polo", "settings": {}}, "no game 'polo'"),
        ({"maker": "procgen", "game": "coinrun", "settings": {"lib_dir": "/"}}, "num_levels"),
    ],
)
def test_recipes_that_are_refused(recipe, says):
    with pytest.raises(InvalidArgumentError, match=says):
        make_from_recipe(recipe)


def test_unknown_start():
    with pytest.raises(InvalidArgumentError, match="'late'"):
        make_from_recipe(CARTPOLE, start="late")
    assert recipes.STARTS == ("plain", "noop", "sticky", "epsilon")
