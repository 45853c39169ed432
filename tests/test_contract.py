"""The contract of `hxwrappers.testing` over the bonuses, on all three shelves."""

from functools import partial

import gymnasium as gym
import pytest
from gymnasium.vector import VectorEnv

from hxwrappers import CNDBonus, FrameInInfo, RNDBonus, YouTubeImitationReward, vector
from hxwrappers.novelty import CNDModel, RNDModel
from hxwrappers.sb3 import VecCNDBonus, VecRNDBonus, VecYouTubeImitationReward
from hxwrappers.sb3.testing import check_sb3_twin
from hxwrappers.testing import check_vector_twin, check_wrapper
from tests.video.toys import PlaceEmbedder, demonstration, make_walk

SETTINGS = {
    "features": 8,
    "hidden": 8,
    "warmup_steps": 3,
    "update_every": 8,
    "batch_size": 8,
    "device": "cpu",
}
SHELVES = [
    (RNDModel, RNDBonus, vector.RNDBonus, VecRNDBonus),
    (CNDModel, CNDBonus, vector.CNDBonus, VecCNDBonus),
]


def frozen(model_class, wrapper, env):
    """Every wrapper gets a model of its own that equals all the others and learns nothing."""
    name = "single_observation_space" if isinstance(env, VectorEnv) else "observation_space"
    model = model_class(getattr(env, name), **SETTINGS, seed=0)
    model.training = False
    return wrapper(env, model)


@pytest.mark.parametrize("wrapper", [RNDBonus, CNDBonus])
def test_the_wrapper_contract(wrapper):
    check_wrapper(partial(wrapper, **SETTINGS), make_env=partial(gym.make, "CartPole-v1"), steps=60)


@pytest.mark.parametrize(("model_class", "single", "batched", "sb3"), SHELVES)
def test_the_twins_on_both_other_shelves(model_class, single, batched, sb3):
    make_env = partial(gym.make, "CartPole-v1")
    wrap_single = partial(frozen, model_class, single)
    check_vector_twin(wrap_single, partial(frozen, model_class, batched), make_env, tolerance=1e-5)
    check_sb3_twin(wrap_single, partial(frozen, model_class, sb3), make_env, tolerance=1e-5)


IMITATION_KEYS = (
    *("extrinsic_reward", "intrinsic_reward", "reward_bonus"),
    *("imitation_reward", "imitation_checkpoint", "imitation_share"),
)
IMITATION = [
    {"every": 4, "observe_progress": True},
    {"every": 2, "extrinsic_coefficient": 0.0, "steps_per_second": 30.0},
]


def imitating(wrapper, settings, env):
    return wrapper(env, demonstration(), PlaceEmbedder(), **settings)


def framed_walk(seen):
    return make_walk(seen=True) if seen else FrameInInfo(make_walk())


@pytest.mark.parametrize("settings", IMITATION)
@pytest.mark.parametrize("frames", ["render", "observation"])
def test_the_imitation_reward(settings, frames):
    wrap = partial(imitating, YouTubeImitationReward, {**settings, "frames": frames})
    # Given an object, not a path, there is no spec; tests/wrappers goes through one with paths.
    skip = ("spec",) if (settings, frames) == (IMITATION[0], "render") else ("spec", "workers")
    check_wrapper(wrap, make_env=partial(make_walk, seen=True), steps=60, skip=skip)


@pytest.mark.parametrize("settings", IMITATION)
@pytest.mark.parametrize("frames", ["info", "observation"])
def test_the_twins_of_the_imitation_reward(settings, frames):
    wrap, batched, sb3 = (
        partial(imitating, wrapper, {**settings, "frames": frames})
        for wrapper in (
            YouTubeImitationReward,
            vector.YouTubeImitationReward,
            VecYouTubeImitationReward,
        )
    )
    make_env = partial(framed_walk, frames == "observation")
    check_vector_twin(wrap, batched, make_env, info_keys=IMITATION_KEYS)
    check_sb3_twin(wrap, sb3, make_env, info_keys=IMITATION_KEYS)
