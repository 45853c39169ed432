"""The vector twins equal single wrappers around the same shared model, however episodes restart."""

from contextlib import nullcontext

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList

from hxwrappers import CNDBonus, RNDBonus, vector
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty import CNDModel, RNDModel
from tests.envs_for_tests import Corridor, Pictures

MODES = pytest.mark.parametrize("mode", list(AutoresetMode))
SETTINGS = {
    "features": 8,
    "hidden": 8,
    "warmup_steps": 3,
    "update_every": 4,
    "batch_size": 8,
    "seed": 0,
}
VARIANTS = {
    "rnd": (RNDModel, RNDBonus, vector.RNDBonus, {}, Corridor),
    "cnd": (CNDModel, CNDBonus, vector.CNDBonus, {"pairs": 4}, Corridor),
    "vicreg": (
        CNDModel,
        CNDBonus,
        vector.CNDBonus,
        {"contrastive_loss": "vicreg", "pairs": 4},
        Corridor,
    ),
    "cnd, current": (
        CNDModel,
        CNDBonus,
        vector.CNDBonus,
        {"scored": "current", "pairs": 4},
        Corridor,
    ),
    "pictures": (CNDModel, CNDBonus, vector.CNDBonus, {"pairs": 4}, Pictures),
}


def step_reward(infos, index, key):
    """What a single wrapper said of the last step of an environment, wherever it stands."""
    final = infos.get("final_info", {})
    if final.get(f"_{key}", np.zeros(9, bool))[index]:
        return final[key][index]
    return infos[key][index] if infos.get(f"_{key}", np.zeros(9, bool))[index] else None


@MODES
@pytest.mark.parametrize("variant", VARIANTS)
def test_vector_twin_equals_single_wrappers(variant, mode):
    model_class, single, batched, settings, env_class = VARIANTS[variant]
    space = env_class().observation_space
    models = [model_class(space, **{**SETTINGS, **settings}) for _ in range(2)]
    number = 3
    ones = SyncVectorEnv([lambda: single(env_class(), models[0])] * number, autoreset_mode=mode)
    twin = batched(SyncVectorEnv([env_class] * number, autoreset_mode=mode), models[1])
    actions = np.random.default_rng(0)
    for envs in (ones, twin):
        envs.reset(seed=11)
    ended = 0
    for _ in range(40):
        action = actions.integers(0, 2, number)
        expected, actual = ones.step(action), twin.step(action)
        for one, other in zip(expected[:4], actual[:4], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
        for key in ("extrinsic_reward", "intrinsic_reward", "reward_bonus"):
            for index in range(number):
                one, other = (step_reward(step[4], index, key) for step in (expected, actual))
                assert (one is None) == (other is None)
                assert one is None or other == pytest.approx(one, rel=1e-4, abs=1e-6)
        over = np.logical_or(expected[2], expected[3])
        ended += int(over.sum())
        if mode is AutoresetMode.DISABLED and over.any():
            for envs in (ones, twin):
                envs.reset(options={"reset_mask": over.copy()})
    assert ended > 5
    assert models[0].updates == models[1].updates > 3
    for name, value in models[0].predictor.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), models[1].predictor.state_dict()[name].numpy())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("variant", VARIANTS)
def test_they_learn_where_the_agent_is_run_without_gradients(variant, mode):
    _, single, batched, settings, env_class = VARIANTS[variant]
    for env in (
        single(env_class(), **{**SETTINGS, **settings}),
        batched(SyncVectorEnv([env_class] * 2), **{**SETTINGS, **settings}),
    ):
        env.reset(seed=0)
        for step in range(18):
            with mode() if step % 3 else nullcontext():
                _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if np.ndim(terminated) == 0 and (terminated or truncated):
                env.reset()
        assert env.model.updates > 1


@MODES
def test_dummy_steps_and_reset_frames_are_never_scored(mode, monkeypatch):
    envs = vector.RNDBonus(
        SyncVectorEnv([Corridor] * 2, autoreset_mode=mode), **{**SETTINGS, "warmup_steps": 0}
    )
    scored = []
    observe = envs.model.observe

    def spy(observations, streams, previous=None):
        scored.extend(np.round(observations).astype(int).tolist())
        return observe(observations, streams, previous)

    monkeypatch.setattr(envs.model, "observe", spy)
    envs.reset(seed=0)
    steps = 0
    for _ in range(30):
        _, rewards, terminations, truncations, infos = envs.step(np.zeros(2, int))
        over = np.logical_or(terminations, truncations)
        real = infos["_extrinsic_reward"]
        steps += int(real.sum())
        assert (rewards[~real] == 0).all()
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})
    assert len(scored) == steps
    assert all(count >= 1 for _, count in scored), "count 0 is the observation of a reset"


@MODES
def test_a_frozen_vector_does_not_freeze_the_model(mode):
    envs = vector.RNDBonus(SyncVectorEnv([Corridor] * 2, autoreset_mode=mode), **SETTINGS)
    watching = vector.RNDBonus(SyncVectorEnv([Corridor], autoreset_mode=mode), model=envs.model)
    watching.training = False
    for each, learned in ((envs, True), (watching, False), (envs, True)):
        before = each.model.updates
        each.reset(seed=0)
        for _ in range(20):
            _, _, terminations, truncations, _ = each.step(np.zeros(each.num_envs, int))
            over = np.logical_or(terminations, truncations)
            if mode is AutoresetMode.DISABLED and over.any():
                each.reset(options={"reset_mask": over})
        assert (each.model.updates > before) is learned


def test_same_step_without_final_observations_is_an_error():
    envs = vector.RNDBonus(
        SyncVectorEnv([Corridor] * 2, autoreset_mode=AutoresetMode.NEXT_STEP), **SETTINGS
    )
    envs._mode = AutoresetMode.SAME_STEP
    envs.reset(seed=0)
    steps = (envs.step(np.zeros(2, int)) for _ in range(10))
    with pytest.raises(InvalidArgumentError, match="final observation"):
        list(steps)


def test_an_environment_that_does_not_name_its_mode_is_refused():
    envs = SyncVectorEnv([Corridor] * 2)
    envs.metadata, envs.autoreset_mode = {}, None
    with pytest.raises(InvalidArgumentError, match="autoreset_mode"):
        vector.RNDBonus(envs)


@pytest.mark.parametrize("wrapper", [vector.RNDBonus, vector.CNDBonus, vector.StickyActions])
def test_a_list_of_infos_belongs_outside(wrapper):
    envs = SyncVectorEnv([Corridor] * 2)
    with pytest.raises(InvalidArgumentError, match="outermost"):
        wrapper(DictInfoToList(envs))
    outside = DictInfoToList(wrapper(envs))
    outside.reset(seed=0)
    assert len(outside.step(np.zeros(2, int))[4]) == 2


def test_observations_of_another_shape_are_refused():
    envs = SyncVectorEnv([Corridor] * 2)
    envs.single_observation_space = gym.spaces.Box(-1, 1, (3,))
    wrapped = vector.RNDBonus(envs, **SETTINGS)
    wrapped.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match="shape"):
        wrapped.step(np.zeros(2, int))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("wrapper", [vector.RNDBonus, vector.CNDBonus])
def test_on_the_vector_environment_of_ale(wrapper, mode):
    vector_env = pytest.importorskip("ale_py.vector_env")
    envs = wrapper(
        vector_env.AtariVectorEnv(
            "breakout", num_envs=2, max_num_frames_per_episode=120, autoreset_mode=mode
        ),
        warmup_steps=2,
        update_every=16,
        features=16,
        batch_size=16,
        seed=0,
    )
    envs.reset(seed=0)
    bonuses, ended = [], 0
    for _ in range(40):
        _, rewards, terminations, truncations, infos = envs.step(np.zeros(2, int))
        over = np.logical_or(terminations, truncations)
        bonuses.append(infos["intrinsic_reward"])
        ended += int(over.sum())
        np.testing.assert_allclose(rewards, infos["extrinsic_reward"] + infos["reward_bonus"])
    assert ended > 0
    assert np.isfinite(bonuses).all()
    assert np.max(bonuses) > 0
    envs.close()
