import subprocess
import sys
from importlib.util import find_spec

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from hxwrappers.envs import make_procgen
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.testing import check_wrapper
from hxwrappers.wrappers import StickyActions

EXPLORATION = ("coinrun", "caveflyer", "leaper", "jumper", "maze", "heist", "climber", "ninja")

if find_spec("procgen") is None:
    pytest.skip(
        "Procgen is not installed (pip install --no-deps procgen-mirror gym3 gym gym_notices)",
        allow_module_level=True,
    )


def actions_for(num_envs: int, steps: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 15, (steps, num_envs))


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
@pytest.mark.parametrize("preset", ["plain", "cnd"])
def test_check_env(preset):
    env = make_procgen("coinrun", preset=preset)
    check_env(env)
    assert env.observation_space.shape == (64, 64, 6 if preset == "cnd" else 3)
    env = make_procgen("coinrun", preset=preset, render_mode="rgb_array")
    with pytest.raises(ResetNeeded):
        env.unwrapped.render()
    env.reset(seed=0)
    assert env.render().shape == (512, 512, 3)


@pytest.mark.parametrize("game", EXPLORATION)
def test_exploration_levels_are_one_level_and_freeze(game):
    envs = make_procgen(game, preset="cnd", num_envs=3)
    base = envs.unwrapped
    first, _ = envs.reset(seed=1)
    np.testing.assert_array_equal(first, first[[0, 0, 0]])
    assert not first[..., :3].any()
    for actions in actions_for(3, 40):
        observations = envs.step(actions)[0]
    states = base.get_state()
    np.testing.assert_array_equal([state.observation for state in states], observations)
    other = make_procgen(game, preset="cnd", num_envs=3).unwrapped
    np.testing.assert_array_equal(other.set_state(states), observations)
    for actions in actions_for(3, 60):
        one, two = base.step(actions), other.step(actions)
        for left, right in zip(one[:4], two[:4], strict=True):
            np.testing.assert_array_equal(left, right)
        for lane in np.flatnonzero(one[2] | one[3]):
            np.testing.assert_array_equal(one[0][lane], first[0])
    np.testing.assert_array_equal(base.set_state(states), observations)


def test_the_final_observation_is_the_one_before_and_never_a_reset_frame():
    envs = make_procgen("jumper", num_envs=8)
    previous, _ = envs.reset(seed=0)
    ends = 0
    for actions in actions_for(8, 400):
        observations, _, terminations, truncations, infos = envs.step(actions)
        done = terminations | truncations
        ends += int(done.sum())
        if done.any():
            for key in ("final_obs", "final_obs_is_previous", "level_complete"):
                np.testing.assert_array_equal(infos[f"_{key}"], done)
            np.testing.assert_array_equal(infos["final_obs_is_previous"], done)
            for lane in np.flatnonzero(done):
                np.testing.assert_array_equal(infos["final_obs"][lane], previous[lane])
                assert (infos["final_obs"][lane] != observations[lane]).any()
        else:
            assert "final_obs" not in infos
        previous = observations
    assert ends > 0


@pytest.mark.parametrize(("game", "limit"), [("leaper", 500), ("coinrun", 1000)])
def test_the_time_limit_truncates(game, limit):
    env = make_procgen(game, preset="cnd")
    env.reset(seed=0)
    for _ in range(limit):
        _, _, terminated, truncated, info = env.step(4)
    assert (terminated, truncated) == (False, True)
    assert info["episode"]["l"] == limit
    assert not info["level_complete"]


def test_a_single_env_waits_for_its_reset_and_can_be_reset_early():
    env = make_procgen("leaper", preset="cnd")
    first, _ = env.reset(seed=0)
    previous = first
    for _ in range(500):
        observation, *_, info = env.step(4)
        if "final_obs_is_previous" in info:
            np.testing.assert_array_equal(observation, previous)
        previous = observation
    for call in (lambda: env.step(4), env.unwrapped.get_state):
        with pytest.raises(ResetNeeded, match="episode has ended"):
            call()
    np.testing.assert_array_equal(env.reset()[0], first)
    for _ in range(10):
        env.step(8)
    np.testing.assert_array_equal(env.reset()[0], first)


def test_a_single_env_freezes():
    env, other = (make_procgen("maze", frame_stack=2) for _ in range(2))
    env.reset(seed=4)
    for action in actions_for(1, 30)[:, 0]:
        observation = env.step(action)[0]
    np.testing.assert_array_equal(other.unwrapped.set_state(env.unwrapped.get_state()), observation)
    env.reset_needed = False
    for action in actions_for(1, 30)[:, 0]:
        left, right = (each.unwrapped.step(action) for each in (env, other))
        np.testing.assert_array_equal(left[0], right[0])
        assert left[1:] == right[1:]


def test_a_seed_chooses_the_levels():
    envs = make_procgen("coinrun", num_envs=2)
    frames = [envs.reset(seed=seed)[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(frames[0], frames[1])
    assert (frames[0] != frames[2]).any()
    assert (frames[0] != envs.reset()[0]).any()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_other_modes_and_processes_through_single_envs(mode):
    envs = make_procgen("leaper", num_envs=2, backend="sync", autoreset_mode=mode)
    assert envs.metadata["autoreset_mode"] is mode
    assert envs.reset(seed=0)[0].shape == (2, 64, 64, 3)


def test_wrapper_contract_on_it():
    check_wrapper(
        StickyActions,
        make_env=lambda: make_procgen("leaper", preset="cnd"),
        preserves_actions=False,
        steps=60,
        skip=("env_randomness", "determinism", "spec", "state_dict", "workers", "gymnasium"),
    )


def test_the_spec_goes_through_json():
    env = make_procgen("coinrun", preset="cnd")
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    np.testing.assert_array_equal(env.reset(seed=3)[0], again.reset(seed=3)[0])
    assert make_procgen("coinrun", num_envs=2).spec.kwargs["game"] == "coinrun"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"game": "coin_run"}, "no Procgen game 'coin_run'. Did you mean coinrun"),
        ({"game": "coinrun", "distribution_mode": "hrad"}, "Did you mean hard"),
        ({"game": "bigfish", "preset": "cnd"}, "no game with an exploration level 'bigfish'"),
        ({"game": "coinrun", "preset": "cnd", "num_levels": 1}, "one level of its own"),
        ({"game": "coinrun", "frame_stack": 0}, "must be 1 or more"),
        ({"game": "coinrun", "num_envs": 2, "backend": "ale"}, "no backend 'ale'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make_procgen(**arguments)


def test_refuses_what_procgen_cannot_do():
    with pytest.raises(InvalidArgumentError, match='or backend="sync"'):
        make_procgen("coinrun", num_envs=2, autoreset_mode="NextStep")
    envs = make_procgen("coinrun", num_envs=2)
    for call in (lambda: envs.unwrapped.step(np.zeros(2, int)), envs.unwrapped.get_state):
        with pytest.raises(ResetNeeded):
            call()
    envs.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match="reset_mask"):
        envs.unwrapped.reset(options={"reset_mask": np.array([True, False])})
    states = envs.unwrapped.get_state()
    with pytest.raises(CheckpointError, match="2 of 'maze'"):
        make_procgen("maze", num_envs=2).unwrapped.set_state(states)
    with pytest.raises(CheckpointError, match="1 states"):
        envs.unwrapped.set_state(states[:1])


def test_it_is_quiet():
    run = subprocess.run(
        [sys.executable, "-c", "from hxwrappers.envs import make_procgen; make_procgen('maze')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout + run.stderr == ""
