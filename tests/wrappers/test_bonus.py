"""RNDBonus and CNDBonus around one environment."""

import multiprocessing
from contextlib import nullcontext

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics

from hxwrappers import CNDBonus, RNDBonus
from hxwrappers.errors import (
    CheckpointError,
    InvalidArgumentError,
    SharedModelWarning,
)
from hxwrappers.novelty import CNDModel, RNDModel
from tests.envs_for_tests import Corridor, Pictures

BONUSES = pytest.mark.parametrize("wrapper", [RNDBonus, CNDBonus])
QUICK = {"features": 8, "hidden": 8, "warmup_steps": 2, "update_every": 4, "batch_size": 8}


def rollout(env, steps: int, seed: int = 0):
    """Observations, rewards and infos of a fixed action sequence."""
    actions = np.random.default_rng(seed).integers(0, 2, steps)
    records = []
    env.reset(seed=seed)
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(int(action))
        records.append((observation, reward, info))
        if terminated or truncated:
            env.reset()
    return records


@BONUSES
def test_reward_is_extrinsic_plus_coefficient_times_bonus(wrapper):
    plain = rollout(Corridor(), 30)
    bonused = rollout(wrapper(Corridor(), coefficient=0.25, **QUICK), 30)
    for (observation, reward, _), (same, total, info) in zip(plain, bonused, strict=True):
        np.testing.assert_array_equal(observation, same)
        assert info["extrinsic_reward"] == reward
        assert info["reward_bonus"] == 0.25 * info["intrinsic_reward"]
        assert total == reward + info["reward_bonus"]
    bonuses = [info["intrinsic_reward"] for _, _, info in bonused]
    assert bonuses[:2] == [0.0, 0.0]
    assert min(bonuses[8:]) > 0


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
@BONUSES
def test_check_env_passes_when_frozen(wrapper):
    env = wrapper(Pictures(), **QUICK)
    env.training = False
    check_env(env, skip_render_check=True)


@BONUSES
def test_same_seed_same_rewards(wrapper):
    first, second = (rollout(wrapper(Corridor(), **QUICK), 25, seed=3) for _ in range(2))
    assert [record[1] for record in first] == [record[1] for record in second]
    other = rollout(wrapper(Corridor(), **QUICK), 25, seed=4)
    assert [record[1] for record in first] != [record[1] for record in other]


@BONUSES
def test_infos_are_fresh(wrapper):
    class Keeps(Corridor):
        """Returns the same info every time."""

        kept: dict = {}  # noqa: RUF012

        def step(self, action):
            return (*super().step(action)[:4], self.kept)

    env = wrapper(Keeps(), **QUICK)
    rollout(env, 5)
    assert Keeps.kept == {}


@BONUSES
def test_spec_round_trips_when_given_a_path(wrapper, tmp_path):
    path = str(tmp_path / "model.safetensors")
    original = wrapper(gym.make("CartPole-v1"), features=8, hidden=8, seed=3)
    original.model.save(path)
    env = wrapper(gym.make("CartPole-v1"), model=path, coefficient=0.5)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    observation = env.observation_space.sample()[None]
    assert again.coefficient == 0.5
    np.testing.assert_array_equal(again.model.score(observation), original.model.score(observation))


@BONUSES
def test_spec_keeps_settings(wrapper):
    env = wrapper(gym.make("CartPole-v1"), coefficient=2.0, features=9, seed=4)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.model.settings == env.model.settings
    assert again.coefficient == 2.0


def test_wrappers_share_the_model_they_are_given():
    model = RNDModel(Corridor().observation_space, **QUICK)
    first, second = RNDBonus(Corridor(), model), RNDBonus(Corridor(), model)
    assert first.model is second.model
    assert model.num_streams == 2
    first.reset(seed=0)
    second.reset(seed=1)
    for _ in range(2):
        assert first.step(0)[4]["intrinsic_reward"] == 0, "the warm-up is of both together"
        second.step(0)
    assert first.step(0)[4]["intrinsic_reward"] > 0


@BONUSES
def test_the_spec_holds_the_model_itself(wrapper):
    env = wrapper(gym.make("CartPole-v1"), **QUICK)
    sharing = wrapper(gym.make("CartPole-v1"), model=env.model)
    assert gym.make(sharing.spec).model is env.model


@BONUSES
def test_each_wrapper_of_a_model_is_frozen_for_itself(wrapper):
    env = wrapper(Corridor(), seed=0, **QUICK)
    watching = wrapper(Corridor(), model=env.model)
    watching.training = False
    assert env.training
    assert env.model.training
    rollout(env, 20)
    updates = env.model.updates
    assert updates > 1
    bonuses = [info["intrinsic_reward"] for _, _, info in rollout(watching, 20)]
    assert min(bonuses) > 0
    assert env.model.updates == updates
    assert watching.model.state_dict()["rollout"]["streams"] == env.model._rollout._streams
    rollout(env, 20)
    assert env.model.updates > updates
    env.model.training = False
    watching.training = True
    assert not env.training
    assert not watching.training


def test_two_bonuses_add_up():
    env = CNDBonus(RNDBonus(Corridor(), coefficient=2.0, **QUICK), coefficient=0.5, **QUICK)
    for _, reward, info in rollout(env, 20):
        assert reward == pytest.approx(info["extrinsic_reward"] + info["reward_bonus"])
    inner = env.env.model.bonus(np.zeros((1, 2), np.float32))
    assert info["intrinsic_reward"] > 0
    assert inner > 0


def test_statistics_inside_stay_extrinsic():
    plain, bonused = RecordEpisodeStatistics(Corridor()), RecordEpisodeStatistics(Corridor())
    plain_infos = rollout(plain, 30)
    infos = rollout(RNDBonus(bonused, **QUICK), 30)
    returns = [info["episode"]["r"] for _, _, info in infos if "episode" in info]
    assert returns == [info["episode"]["r"] for _, _, info in plain_infos if "episode" in info]
    assert len(returns) > 3


@BONUSES
def test_state_dict_continues_bit_for_bit(wrapper):
    straight, first, second = (wrapper(Corridor(), **QUICK, seed=0) for _ in range(3))
    for env in (straight, first):
        env.reset(seed=5)
        for _ in range(7):
            if any(env.step(1)[2:4]):
                env.reset()
    second.env = first.env
    second.load_state_dict(first.state_dict())
    second._previous = first._previous
    for _ in range(20):
        expected, actual = straight.step(2), second.step(2)
        assert expected[1] == actual[1]
        if any(expected[2:4]):
            straight.reset()
            second.reset()


@pytest.mark.parametrize(
    ("wrapper", "context"),
    [
        (RNDBonus, "fork"),
        pytest.param(RNDBonus, "spawn", marks=pytest.mark.slow),
        pytest.param(CNDBonus, "forkserver", marks=pytest.mark.slow),
    ],
)
def test_works_in_worker_processes_and_says_what_that_means(wrapper, context):
    if context not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {context}")

    def make():
        in_worker = multiprocessing.parent_process() is not None
        with pytest.warns(SharedModelWarning) if in_worker else nullcontext():
            return wrapper(gym.make("CartPole-v1"), **QUICK)

    envs = gym.vector.AsyncVectorEnv([make] * 2, context=context)
    try:
        envs.reset(seed=0)
        for _ in range(4):
            infos = envs.step(envs.action_space.sample())[4]
        assert infos["extrinsic_reward"].tolist() == [1.0, 1.0]
    finally:
        envs.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"coefficient": -1.0}, InvalidArgumentError),
        ({"coefficient": float("nan")}, InvalidArgumentError),
        ({"observation_key": "image"}, InvalidArgumentError),
        ({"model": "nowhere.safetensors"}, CheckpointError),
    ],
)
def test_bad_arguments(arguments, error):
    with pytest.raises(error):
        RNDBonus(Corridor(), **arguments)


def test_models_that_do_not_fit():
    space = Corridor().observation_space
    for model, settings, error in (
        (CNDModel(space, features=4), {}, InvalidArgumentError),
        (RNDModel(Pictures().observation_space, features=4), {}, InvalidArgumentError),
        (RNDModel(space, features=4), {"features": 3}, InvalidArgumentError),
    ):
        with pytest.raises(error):
            RNDBonus(Corridor(), model=model, **settings)


@BONUSES
def test_a_state_of_something_else(wrapper):
    env = wrapper(Corridor(), **QUICK)
    with pytest.raises(CheckpointError, match="no 'model'"):
        env.load_state_dict({"imitation": {}})


def test_spaces_that_cannot_be_scored():
    env = Corridor()
    env.observation_space = gym.spaces.Text(4)
    with pytest.raises(InvalidArgumentError, match="is a Text"):
        RNDBonus(env)


def test_minigrid_dict_observations():
    pytest.importorskip("minigrid")
    env = RNDBonus(gym.make("MiniGrid-DoorKey-5x5-v0"), **QUICK)
    records = rollout(env, 12)
    assert records[-1][0].keys() == {"image", "direction", "mission"}
    assert records[-1][2]["intrinsic_reward"] > 0


def test_an_environment_may_write_its_observation_into_one_array():
    class InPlace(Corridor):
        """Returns the same array every time."""

        kept = np.zeros(2, np.float32)

        def reset(self, **arguments):
            observation, info = super().reset(**arguments)
            self.kept[:] = observation
            return self.kept, info

        def step(self, action):
            observation, *rest = super().step(action)
            self.kept[:] = observation
            return self.kept, *rest

    models = []
    for make in (Corridor, InPlace):
        env = CNDBonus(make(), contrastive_loss="vicreg", **{**QUICK, "update_every": 50}, seed=0)
        rollout(env, 12)
        models.append(env.model.state_dict()["rollout"])
    for one, other in zip(*(model["previous"] for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
