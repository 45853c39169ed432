"""Each public wrapper by itself keeps the contract, and none is forgotten."""

from functools import partial
from inspect import isclass

import gymnasium as gym
import pytest
from gymnasium.vector import VectorWrapper
from stable_baselines3.common.vec_env import VecEnvWrapper

import hxwrappers
from hxwrappers import CNDBonus, RNDBonus, YouTubeImitationReward, envs, sb3, vector, wrappers
from hxwrappers.testing import check_wrapper
from tests.contract.grounds import CARTPOLE, WALK
from tests.contract.stacks import FIVE, LAYERS, NOVELTY, wrapper_name
from tests.contract.test_stacks import check_stack
from tests.contract.twins import TWINS
from tests.video.toys import PlaceEmbedder, demonstration, make_walk

# Of the standard stacks, with tests of their own beside these.
OF_ONE_FAMILY = {"FixedLevel", "GridObservation", "RoomTracker"}


def exported(shelf, base):
    """The public wrappers of a shelf."""
    names = {name for name in shelf.__all__ if isclass(getattr(shelf, name))}
    return {name for name in names if issubclass(getattr(shelf, name), base)}


def test_every_public_wrapper_is_in_the_stacks():
    covered = {wrapper_name(layer) for layer in LAYERS}
    assert exported(hxwrappers, gym.Wrapper) == covered
    assert exported(wrappers, gym.Wrapper) == covered
    assert exported(envs, gym.Wrapper) == OF_ONE_FAMILY
    batched = {wrapper_name(layer) for layer in TWINS}
    # These need Atari games that can be frozen, and have tests of their own.
    assert exported(vector, VectorWrapper) == batched | {"DemoResetCurriculum"}
    alone = {"VecNoveltyResets"}
    assert exported(sb3, VecEnvWrapper) == {f"Vec{name}" for name in batched} | alone
    classes = {name: forms for name, forms in TWINS.items() if name in covered}
    for name, forms in classes.items():
        env = gym.vector.SyncVectorEnv([CARTPOLE.make_framed])
        assert type(forms.batched(CARTPOLE, env)) is getattr(vector, name)


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if layer not in FIVE])
def test_each_by_itself(layer):
    # The five are in the pairs and, by themselves, in the tests of each.
    check_stack(WALK, [layer])


@pytest.mark.parametrize("skip", [("workers",), pytest.param((), marks=pytest.mark.slow)])
@pytest.mark.parametrize("wrapper", [RNDBonus, CNDBonus])
def test_the_bonuses_from_a_spec_and_in_workers(wrapper, skip):
    check_wrapper(partial(wrapper, **NOVELTY), make_env=CARTPOLE.make, steps=60, skip=skip)


IMITATION = [
    {"every": 4, "observe_progress": True},
    {"every": 2, "extrinsic_coefficient": 0.0, "steps_per_second": 30.0},
]


@pytest.mark.parametrize("settings", IMITATION)
@pytest.mark.parametrize("frames", [pytest.param("render", marks=pytest.mark.slow), "observation"])
def test_the_imitation_reward_on_a_walk(settings, frames):
    wrap = partial(
        YouTubeImitationReward,
        demonstration=demonstration(),
        embedder=PlaceEmbedder(),
        **settings,
        frames=frames,
    )
    # Given an object, not a path, there is no spec; tests/wrappers goes through one with paths.
    skip = ("spec",) if (settings, frames) == (IMITATION[0], "render") else ("spec", "workers")
    check_wrapper(wrap, make_env=partial(make_walk, seen=True), steps=60, skip=skip)
