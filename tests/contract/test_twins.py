"""Stacks of the vector and Stable-Baselines3 forms equal stacks of single wrappers."""

import random
from functools import partial
from itertools import permutations

import pytest
from gymnasium.vector import AutoresetMode

from hxwrappers import SkipReplayedSteps
from hxwrappers.sb3.testing import check_sb3_twin
from hxwrappers.testing import check_vector_twin
from tests.contract.grounds import GROUNDS, WALK
from tests.contract.stacks import LAYERS, wrapper_name
from tests.contract.twins import INFO_KEYS, TWINS, form


def orders(number):
    """All orders of so many different forms."""
    return [
        layers
        for layers in permutations(TWINS, number)
        if len({wrapper_name(layer) for layer in layers}) == number
    ]


def inside(layer, ground):
    """An environment with a single wrapper in it already."""
    if layer == "nothing":
        return ground.make_framed()
    if layer in TWINS:
        return form("single", [layer], ground, ground.make_framed())
    core = LAYERS["DemoResetCurriculum" if layer == "SkipReplayedSteps" else layer]
    env = ground.make_framed(partial(core, ground))
    return SkipReplayedSteps(env) if layer == "SkipReplayedSteps" else env


def check_vector(ground, layers, make_env, modes=tuple(AutoresetMode), steps=40):
    check_vector_twin(
        partial(form, "single", layers, ground),
        partial(form, "batched", layers, ground),
        make_env,
        num_envs=2,
        autoreset_modes=modes,
        steps=steps,
        tolerance=1e-5,
        info_keys=INFO_KEYS,
    )


def check_sb3(ground, layers, make_env, steps=40):
    check_sb3_twin(
        partial(form, "single", layers, ground),
        partial(form, "sb3", layers, ground),
        make_env,
        num_envs=2,
        steps=steps,
        tolerance=1e-5,
        info_keys=INFO_KEYS,
    )


@pytest.mark.parametrize("layers", random.Random(0).sample(orders(4), 2), ids=" < ".join)
def test_all_of_them(layers):
    make_env = partial(inside, "nothing", WALK)
    check_vector(WALK, layers, make_env, steps=20)
    check_sb3(WALK, layers, make_env, steps=20)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("CNDBonus", "YouTubeImitationReward"),
        ("StickyActions", "RNDBonus"),
        ("SkipReplayedSteps", "RNDBonus"),
    ],
)
def test_around_single_wrappers(inner, outer):
    make_env = partial(inside, inner, WALK)
    check_vector(WALK, [outer], make_env, steps=20)
    check_sb3(WALK, [outer], make_env, steps=20)


@pytest.mark.parametrize("layer", ["RNDBonus", "StickyActions"])
@pytest.mark.parametrize("mode", AutoresetMode)
def test_around_steps_that_replay(mode, layer):
    # In the same step one environment replays, with infos about rewards, and the other does not.
    make_env = partial(inside, "DemoResetCurriculum", WALK)
    check_vector(WALK, [layer], make_env, modes=[mode])


def test_sticky_around_steps_that_replay_under_stable_baselines3():
    check_sb3(WALK, ["StickyActions"], partial(inside, "DemoResetCurriculum", WALK))


def possible(ground, layers):
    """Layers that the ground has pictures for, and that Stable-Baselines3 can batch."""
    return [
        layer
        for layer in layers
        if (ground.frames or "YouTube" not in layer) and not (ground.seen and "progress" in layer)
    ]


@pytest.mark.long
@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_all_orders_everywhere(ground):
    for order in orders(4):
        layers = possible(ground, order)
        make_env = partial(inside, "nothing", ground)
        check_vector(ground, layers, make_env)
        check_sb3(ground, layers, make_env)


@pytest.mark.long
@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_around_single_wrappers_everywhere(ground):
    for inner in LAYERS:
        blind = inner == "FrameInInfo" and ground.frames != "render"
        if blind or not possible(ground, [inner]):
            continue
        make_env = partial(inside, inner, ground)
        for outer in possible(ground, TWINS):
            if wrapper_name(outer) != wrapper_name(inner):
                check_vector(ground, [outer], make_env)
                check_sb3(ground, [outer], make_env)
