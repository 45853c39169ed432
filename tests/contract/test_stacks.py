"""The contract over stacks of wrappers around one environment, in every order."""

import random
from functools import partial
from itertools import permutations

import pytest

from hxwrappers.testing import check_state_dict, check_wrapper
from tests.contract.grounds import GROUNDS, WALK
from tests.contract.stacks import (
    FIVE,
    LAYERS,
    build,
    can_stand_on,
    refusal,
    wrapper_name,
)

# These put a recorder of calls around the environment, and a curriculum accepts nothing below it.
NEEDS_A_RECORDER = {"env_randomness", "reward", "state_dict"}
PAIRS = [
    pair for pair in permutations(LAYERS, 2) if len({wrapper_name(layer) for layer in pair}) == 2
]
PAIRS_OF_FIVE = list(permutations(FIVE, 2))
# Each of the five is in one of these, inside and outside.
QUICK_PAIRS = set(zip(FIVE, [*FIVE[1:], FIVE[0]], strict=True))


def random_stacks(number, seed=0):
    """All five wrappers in random orders, now and then with the others in between."""
    generator = random.Random(seed)
    others = [layer for layer in LAYERS if layer not in FIVE and "," not in layer]
    stacks = []
    for index in range(number):
        layers = [*FIVE, *generator.sample(others, index % 2 * generator.randint(1, len(others)))]
        if index % 3 == 0:
            layers[layers.index("YouTubeImitationReward")] += ", progress"
        generator.shuffle(layers)
        if index % 4:  # most of all orders are refused alike
            layers.sort(key=lambda layer: layer != "DemoResetCurriculum")
        stacks.append(tuple(layers))
    return stacks


def check_stack(ground, layers, steps=None):
    """The contract over a stack, or its refusal."""
    if not can_stand_on(ground, layers):
        pytest.skip(f"{ground} shows no pictures")
    wrap = partial(build, ground, layers)
    error = refusal(layers)
    if error is not None:
        with pytest.raises(error, match=r"level|Curriculum"):
            wrap(ground.make())
        return
    curriculum = "DemoResetCurriculum" in layers
    # Both make episodes of their own, which no state brings back halfway.
    between = curriculum or "DemoRecorder" in layers
    steps = ground.steps if steps is None else steps
    check_wrapper(
        wrap,
        make_env=ground.make,
        steps=steps,
        preserves_actions=False,
        skip={
            *("spec", "workers"),
            *(NEEDS_A_RECORDER if curriculum else ()),
            *(("state_dict",) if between else ()),
        },
    )
    if between and set(map(wrapper_name, layers)) & set(FIVE):
        check_state_dict(wrap, ground.make, steps=steps, mid_episode=False)
    if curriculum:
        check_sums(wrap(ground.make()), steps)


def check_sums(env, steps):
    """Rewards are the environment's own and what was added, also where a demonstration replays."""
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(steps):
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        if "reward_bonus" in info:
            assert reward == pytest.approx(info["extrinsic_reward"] + info["reward_bonus"])
        if terminated or truncated:
            env.reset()


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(pair, marks=() if pair in QUICK_PAIRS else pytest.mark.slow)
        for pair in PAIRS_OF_FIVE
    ],
    ids=" < ".join,
)
def test_any_two_of_the_five(layers):
    check_stack(WALK, layers)


@pytest.mark.parametrize("layers", random_stacks(2), ids=" < ".join)
def test_all_five(layers):
    check_stack(WALK, layers)


@pytest.mark.long
@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_any_two_everywhere(ground):
    for layers in PAIRS:
        if can_stand_on(ground, layers):
            check_stack(ground, layers)


@pytest.mark.long
@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_all_five_everywhere(ground):
    for layers in random_stacks(60, seed=1):
        possible = [layer for layer in layers if can_stand_on(ground, [layer])]
        check_stack(ground, possible)
