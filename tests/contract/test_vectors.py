"""Learning stacks around vectors of all kinds, and vectors of learning stacks."""

import warnings
from functools import partial

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from hxwrappers import vector
from hxwrappers.envs import make_procgen
from hxwrappers.errors import SharedModelWarning
from tests.contract.grounds import ATARI, CARTPOLE, GROUNDS, PROCGEN, WALK, Coarse, box_key
from tests.contract.stacks import IMITATION, NOVELTY, build
from tests.contract.test_stacks import random_stacks
from tests.contract.vectors import check_vector_stack, check_vector_state

MODES = pytest.mark.parametrize("mode", AutoresetMode)
ORDERS = [
    ("CNDBonus", "StickyActions", "YouTubeImitationReward", "RNDBonus"),
    ("RNDBonus", "YouTubeImitationReward", "CNDBonus", "StickyActions"),
    ("YouTubeImitationReward", "RNDBonus", "StickyActions", "CNDBonus"),
]


def learning(layers, clip, frames, envs):
    """Vector wrappers that learn, the innermost first."""
    for layer in layers:
        key = box_key(envs.single_observation_space)
        if layer == "RNDBonus":
            envs = vector.RNDBonus(envs, observation_key=key, **NOVELTY)
        elif layer == "CNDBonus":
            settings = {**NOVELTY, "contrastive_loss": "vicreg", "pairs": 4}
            envs = vector.CNDBonus(envs, observation_key=key, **settings)
        elif layer == "StickyActions":
            envs = vector.StickyActions(envs, 0.5)
        else:
            settings = {**IMITATION, "frames": frames, "observe_progress": key is None}
            envs = vector.YouTubeImitationReward(envs, clip, Coarse(), **settings)
    return envs


def sync(ground, mode):
    return SyncVectorEnv([ground.make_framed] * 3, autoreset_mode=mode)


@pytest.mark.parametrize(("layers", "mode"), list(zip(ORDERS, AutoresetMode, strict=True)))
def test_learning_stacks(layers, mode):
    wrap = partial(learning, layers, WALK.clip, "info")
    check_vector_stack(wrap, partial(sync, WALK, mode), 24)
    check_vector_state(wrap, partial(sync, WALK, mode), 24)


def test_a_reset_of_some_leaves_the_others_waiting():
    envs = sync(WALK, AutoresetMode.NEXT_STEP)
    envs = vector.RNDBonus(envs, **{**NOVELTY, "warmup_steps": 0, "normalize_reward": False})
    envs.reset(seed=0)
    ended = np.zeros(3, bool)
    while ended.sum() < 2:
        *_, terminations, truncations, _ = envs.step(np.zeros(3, int))
        ended = terminations | truncations
    first, *others = np.flatnonzero(ended)
    envs.reset(options={"reset_mask": np.arange(3) == first})
    rewards, infos = envs.step(np.zeros(3, int))[1::3]
    assert not rewards[others].any()
    assert not infos["_reward_bonus"][others].any()
    assert infos["_reward_bonus"][first]


def atari(mode):
    ale = pytest.importorskip("ale_py.vector_env")
    size = {
        "grayscale": False,
        "img_height": 210,
        "img_width": 160,
        "max_num_frames_per_episode": 48,
    }
    return ale.AtariVectorEnv("breakout", 2, autoreset_mode=mode, **size)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("layers", ORDERS, ids=" < ".join)
@pytest.mark.slow
def test_around_ales_vector(layers, mode):
    wrap = partial(learning, layers, ATARI.clip, "observation")
    check_vector_stack(wrap, partial(atari, mode), 24)


@pytest.mark.parametrize("layers", ORDERS, ids=" < ".join)
@pytest.mark.slow
def test_around_procgens_vector(layers):
    pytest.importorskip("procgen")
    wrap = partial(learning, layers, PROCGEN.clip, "observation")
    check_vector_stack(wrap, partial(make_procgen, "coinrun", num_envs=2), 24)


@pytest.mark.long
@MODES
@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_learning_stacks_everywhere(ground, mode):
    frames = "observation" if ground.frames == "observation" else "info"
    for layers in ORDERS:
        possible = [layer for layer in layers if ground.frames or "YouTube" not in layer]
        wrap = partial(learning, possible, ground.frames and ground.clip, frames)
        check_vector_stack(wrap, partial(sync, ground, mode), ground.steps)
        check_vector_state(wrap, partial(sync, ground, mode), ground.steps)


@pytest.mark.slow
@MODES
def test_in_worker_processes(mode):
    wrap = partial(learning, ORDERS[0], CARTPOLE.clip, "info")
    workers = partial(
        AsyncVectorEnv, [CARTPOLE.make_framed] * 2, autoreset_mode=mode, context="fork"
    )
    check_vector_stack(wrap, workers, 30)


def quietly(ground, layers):
    """A learning stack in a worker; that it trains a model of its own there is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharedModelWarning)
        return build(ground, layers, ground.make())


def check_vector_of_stacks(layers, vectors, mode, steps=40):
    """Stacks under a vector do what they do one by one, whatever the mode."""
    makers = [partial(quietly, CARTPOLE, layers)] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharedModelWarning)  # said again at the first reset
        check_vector_stack(lambda envs: envs, partial(vectors, makers, autoreset_mode=mode), steps)


@MODES
def test_vectors_of_stacks(mode):
    layers = ("DemoResetCurriculum", "RNDBonus", "StickyActions", "YouTubeImitationReward")
    check_vector_of_stacks(layers, SyncVectorEnv, mode, 20)


@pytest.mark.long
@MODES
@pytest.mark.parametrize("vectors", [SyncVectorEnv, AsyncVectorEnv])
def test_vectors_of_random_stacks(vectors, mode):
    for layers in random_stacks(12, seed=2):
        if layers[0] == "DemoResetCurriculum" and "DemoRecorder" not in layers:
            check_vector_of_stacks(layers, vectors, mode)
