"""The adapter from gymnasium.vector to Stable-Baselines3."""

from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from hxwrappers import vector
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import DualValuePPO, VecRNDBonus, from_vector_env
from tests.envs_for_tests import Corridor

MODES = pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])


class Told(Corridor):
    """Notes what it was reset with, and draws itself."""

    metadata: ClassVar[dict[str, object]] = {"render_modes": ["rgb_array"]}
    render_mode = "rgb_array"

    def reset(self, *, seed=None, options=None):
        self.told = options
        return super().reset(seed=seed, options=options)

    def render(self):
        return np.zeros((8, 8, 3), np.uint8)


@MODES
def test_options_for_the_next_reset(mode):
    envs = from_vector_env(SyncVectorEnv([Told] * 2, autoreset_mode=mode))
    envs.set_options({"level": 3})
    envs.reset()
    assert envs.get_attr("told") == [{"level": 3}] * 2
    envs.reset()
    assert envs.get_attr("told") == [None] * 2
    envs.set_options([{"level": 3}, {"level": 4}])
    with pytest.raises(InvalidArgumentError, match="one dict"):
        envs.reset()


def test_pictures_of_all_environments():
    envs = SyncVectorEnv([Told] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    assert [picture.shape for picture in from_vector_env(envs).get_images()] == [(8, 8, 3)] * 2


def test_workers_survive_being_asked_for_what_they_do_not_have():
    envs = from_vector_env(
        AsyncVectorEnv([Corridor] * 2, autoreset_mode=AutoresetMode.SAME_STEP, context="fork")
    )
    envs.seed(0)
    envs.reset()
    assert not envs.has_attr("nonsense")
    assert envs.has_attr("action_space")
    assert envs.step(np.zeros(2, int))[0].shape[0] == 2
    envs.close()


@MODES
def test_it_behaves_as_a_dummy_vec_env(mode):
    ours = from_vector_env(SyncVectorEnv([Corridor] * 3, autoreset_mode=mode))
    theirs = DummyVecEnv([Corridor] * 3)
    for envs in (ours, theirs):
        envs.seed(4)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    actions = np.random.default_rng(0)
    ended = 0
    for _ in range(40):
        action = actions.integers(0, 3, 3)
        one, other = ours.step(action), theirs.step(action)
        for left, right in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype
        for index in np.flatnonzero(one[2]):
            ended += 1
            np.testing.assert_array_equal(
                one[3][index]["terminal_observation"], other[3][index]["terminal_observation"]
            )
            assert one[3][index]["TimeLimit.truncated"] == other[3][index]["TimeLimit.truncated"]
    assert ended > 10


def test_next_step_is_refused_with_the_way_out():
    with pytest.raises(InvalidArgumentError, match="SAME_STEP"):
        from_vector_env(SyncVectorEnv([Corridor] * 2))


def test_infos_that_are_a_list_are_refused():
    envs = SyncVectorEnv([Corridor] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(InvalidArgumentError, match="leave it out"):
        from_vector_env(RecordEpisodeStatistics(DictInfoToList(envs)))


def test_statistics_of_vector_wrappers_reach_the_infos():
    envs = SyncVectorEnv([Corridor] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    model = PPO(
        "MlpPolicy", from_vector_env(RecordEpisodeStatistics(envs)), n_steps=16, batch_size=16
    )
    model.learn(64)
    assert len(model.ep_info_buffer) > 5


def test_dual_value_ppo_over_a_vector_bonus():
    envs = SyncVectorEnv([Corridor] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    bonused = vector.RNDBonus(envs, features=8, hidden=8, warmup_steps=4, update_every=8, seed=0)
    model = DualValuePPO("MlpPolicy", from_vector_env(bonused), n_steps=16, batch_size=16)
    model.learn(64)
    assert bonused.model.updates > 0
    assert model.rollout_buffer.intrinsic.rewards.max() > 0


def test_on_the_vector_environment_of_ale():
    vector_env = pytest.importorskip("ale_py.vector_env")
    envs = vector_env.AtariVectorEnv(
        "breakout",
        num_envs=2,
        max_num_frames_per_episode=120,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    venv = VecRNDBonus(VecMonitor(from_vector_env(envs)), features=8, warmup_steps=4, seed=0)
    venv.seed(0)
    venv.reset()
    ended = 0
    for _ in range(60):
        observations, _, dones, infos = venv.step(np.zeros(2, np.int64))
        for index in np.flatnonzero(dones):
            ended += 1
            assert infos[index]["terminal_observation"].shape == (4, 84, 84)
            assert (infos[index]["terminal_observation"] != observations[index]).any()
            assert "episode" in infos[index]
    assert ended > 1
    with pytest.raises(AttributeError, match="AtariVectorEnv gives no access"):
        venv.get_attr("ram")
    venv.close()


def test_attributes_and_methods_of_the_parts():
    adapter = from_vector_env(SyncVectorEnv([Corridor] * 2, autoreset_mode=AutoresetMode.SAME_STEP))
    adapter.reset()
    assert adapter.get_attr("longest") == [5, 5]
    adapter.set_attr("longest", 7)
    assert adapter.get_attr("longest", indices=1) == [7]
    for goal in ([1, 2], (1, 2, 3)):
        adapter.set_attr("goal", goal)
        assert adapter.get_attr("goal") == [goal, goal]
    assert adapter.env_method("get_wrapper_attr", "shortest") == [2, 2]
    assert adapter.env_is_wrapped(gym.wrappers.TimeLimit) == [False, False]
    with pytest.raises(InvalidArgumentError, match="indices"):
        adapter.set_attr("longest", 7, indices=[0])


@MODES
def test_an_environment_that_reuses_its_arrays(mode):
    envs = from_vector_env(SyncVectorEnv([Corridor] * 3, copy=False, autoreset_mode=mode))
    envs.seed(4)
    kept = envs.reset()
    ended = 0
    for step in range(40):
        before = kept.copy()
        seen, _, dones, infos = envs.step(np.full(3, step % 2 + 1))
        np.testing.assert_array_equal(kept, before)
        kept = seen
        for index in np.flatnonzero(dones):
            ended += 1
            assert (infos[index]["terminal_observation"] != seen[index]).any()
    assert ended > 3


@MODES
def test_infos_hold_nothing_of_the_vectors_bookkeeping(mode):
    envs = from_vector_env(SyncVectorEnv([Corridor] * 2, autoreset_mode=mode))
    envs.seed(0)
    envs.reset()
    keys = {key for _ in range(30) for info in envs.step(np.ones(2, int))[3] for key in info}
    assert "terminal_observation" in keys
    assert not [key for key in keys if key.startswith("_") or key.startswith("final")]


class Levels(Corridor):
    """Its resets tell what its steps do not, and the other way round."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        bonus_level = {"bonus_level": True} if self.episode == 3 else {}
        return observation, {**info, **bonus_level, "level": self.episode, "at": -1}

    def step(self, action):
        *result, info = super().step(action)
        return *result, {**info, "at": self.count, **({"won": True} if result[2] else {})}


@MODES
@pytest.mark.parametrize("wrap", [None, RecordEpisodeStatistics, vector.StickyActions])
def test_the_info_of_a_last_step_holds_nothing_of_the_next_reset(wrap, mode):
    envs = SyncVectorEnv([Levels] * 3, autoreset_mode=mode)
    ours = from_vector_env(envs if wrap is None else wrap(envs))
    theirs = DummyVecEnv([Levels] * 3)
    for each in (ours, theirs):
        each.seed(4)
        each.reset()
    sticky = {"sticky_action", "executed_action"}
    added = {RecordEpisodeStatistics: {"episode"}, vector.StickyActions: sticky}
    added = added.get(wrap, set())
    # Beside the entries of wrappers, what the first reset did not tell cannot be recognised.
    unforeseen = {"bonus_level"} if added else set()
    ended = 0
    for _ in range(30):
        _, _, dones, infos = ours.step(np.zeros(3, int))
        others = theirs.step(np.zeros(3, int))[3]
        for index in np.flatnonzero(dones):
            ended += 1
            info, other = infos[index], others[index]
            assert info.keys() - unforeseen == other.keys() | added
            assert info["at"] == other["at"]
            reset = ours.reset_infos[index]
            assert reset["level"] == theirs.reset_infos[index]["level"]
            assert reset["at"] == -1
    assert ended > 10


@MODES
def test_an_end_that_is_also_a_time_out_is_an_end(mode):
    class Both(Corridor):
        """Terminates and is truncated in the same step."""

        def step(self, action):
            observation, reward, terminated, truncated, info = super().step(action)
            return observation, reward, terminated or truncated, terminated or truncated, info

    envs = from_vector_env(SyncVectorEnv([Both] * 2, autoreset_mode=mode))
    envs.seed(0)
    envs.reset()
    said = []
    for _ in range(10):
        _, _, dones, infos = envs.step(np.ones(2, int))
        said += [infos[index]["TimeLimit.truncated"] for index in np.flatnonzero(dones)]
    assert said
    assert not any(said)


SHARED = {
    "number": 1.5,
    "text": "abc",  # as long as there are environments
    "bytes": b"abc",
    "nothing": None,
    "scalar": np.array(2),
    "array": np.arange(4),
    "list": [1, 2],
    "set": {1, 2, 3},
    "class": Corridor,
    7: "a key that is no text",
    "nested": {"mode": "train", "time": 0.5},
}
OWN = {
    "array": np.arange(3),
    "matrix": np.ones((3, 2)),
    "objects": np.array(["a", "b", "c"], object),
    "list": ["x", "y", "z"],
    "tuple": (1, 2, 3),
    "tensor": torch.arange(3),
}


class BatchedSimulator(gym.vector.VectorEnv):
    """Gives infos of its own making, at a reset and at each step."""

    def __init__(self, infos):
        self.num_envs = 3
        self.single_observation_space = gym.spaces.Box(-1, 1, (2,))
        self.single_action_space = gym.spaces.Discrete(2)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.infos = infos

    def reset(self, *, seed=None, options=None):
        return np.zeros((3, 2), np.float32), dict(self.infos)

    def step(self, actions):
        over = np.array([False, True, False])
        final = {"final_obs": np.ones((3, 2), np.float32), "_final_obs": over}
        observations, infos = self.reset()
        return observations, np.zeros(3), over, np.zeros(3, bool), {**infos, **final}


def test_what_is_not_one_value_an_environment_is_shared():
    envs = from_vector_env(BatchedSimulator(SHARED))
    envs.reset()
    infos = envs.step(np.zeros(3, int))[3]
    for info in (*infos, *envs.reset_infos):
        for key, value in SHARED.items():
            assert info[key] is value or info[key] == value


def test_one_value_an_environment_is_dealt_out():
    marked = {"own": np.arange(3), "_own": np.array([True, False, True])}
    odd = {"time": 1.5, "_time": "not a mask"}
    envs = from_vector_env(BatchedSimulator({**OWN, **marked, **odd}))
    envs.reset()
    for index, info in enumerate(envs.step(np.zeros(3, int))[3]):
        for key, values in OWN.items():
            np.testing.assert_array_equal(info[key], values[index])
        assert ("own" in info) == (index != 1)
        assert info["time"] == 1.5
