import gymnasium as gym
import pytest

from hxwrappers import StickyActions
from hxwrappers.errors import InvalidArgumentError, WrapperContractError
from hxwrappers.testing import PROMISES, check_state_dict, check_wrapper
from hxwrappers.vector import StickyActions as VectorStickyActions
from tests.testing import broken
from tests.toys import Echo, make_echo

BREAKS = [
    ("gymnasium", broken.CannotReset),
    ("gymnasium", broken.ObservesFloat32),
    ("spaces", broken.ObservesOutside),
    ("spaces", broken.NaNReward),
    ("spaces", broken.IntEnds),
    ("fresh_data", broken.ReusesObservations),
    ("fresh_data", broken.ReusesInfos),
    ("determinism", broken.Unseeded),
    ("own_generator", broken.DrawsFromPython),
    ("own_generator", broken.DrawsFromNumPy),
    ("own_generator", broken.DrawsFromTorch),
    ("env_randomness", broken.DrawsFromEnv),
    ("env_randomness", broken.TouchesEnv),
    ("extrinsic_trajectory", broken.SwapsActions),
    ("reward", broken.WrongExtrinsic),
    ("reward", broken.WrongSum),
    ("reward", broken.InfiniteIntrinsic),
    ("spec", broken.RecordsNothing),
    ("state_dict", broken.ForgetsItsCount),
    ("state_dict", broken.SavesAnObject),
    ("state_dict", broken.CannotLoad),
    ("close", broken.ClosesOnce),
    ("workers", broken.OnlyHere),
]


@pytest.mark.parametrize(("promise", "wrapper"), BREAKS)
def test_a_broken_promise_is_named(promise, wrapper):
    others = tuple(set(PROMISES) - {promise})
    with pytest.raises(WrapperContractError, match=f"^The promise '{promise}' is broken: "):
        check_wrapper(wrapper, make_env=make_echo, steps=30, skip=others)


def test_every_promise_is_broken_by_a_test():
    assert {promise for promise, _ in BREAKS} | {"vector_twin"} == set(PROMISES)


def test_an_unrecorded_argument_is_seen_through_the_spec():
    with pytest.raises(WrapperContractError, match="the one made from its spec differ"):
        check_wrapper(
            lambda env: broken.ForgetsAnArgument(env, scale=3.0),
            make_env=make_echo,
            skip=set(PROMISES) - {"spec"},
        )


@pytest.mark.parametrize(
    ("wrapper", "options"),
    [
        (broken.StepBonus, {"wrap_vector": broken.VectorStepBonus}),
        pytest.param(broken.CountBonus, {}, marks=pytest.mark.slow),
        pytest.param(
            StickyActions,
            {"wrap_vector": VectorStickyActions, "preserves_actions": False},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_kept_promises_pass(wrapper, options):
    check_wrapper(wrapper, make_env=make_echo, steps=60, **options)


@pytest.mark.parametrize("name", ["CartPole-v1", "FrozenLake-v1"])
def test_on_real_environments(name):
    check_wrapper(
        lambda env: StickyActions(env, 0.5),
        make_env=lambda: gym.make(name),
        wrap_vector=lambda env: VectorStickyActions(env, 0.5),
        preserves_actions=False,
        skip=("workers",),
    )


def test_a_missing_state_dict_is_named_when_asked_for():
    with pytest.raises(WrapperContractError, match="Base has no state_dict"):
        check_state_dict(broken.Base, make_echo)


def test_state_from_an_episode_boundary():
    check_state_dict(broken.CountBonus, make_echo, mid_episode=False)
    with pytest.raises(WrapperContractError, match="state_dict"):
        check_state_dict(broken.ForgetsItsCount, make_echo, mid_episode=False)


def test_refuses_an_unknown_promise():
    with pytest.raises(InvalidArgumentError, match="no promises"):
        check_wrapper(broken.Base, make_env=make_echo, skip=("spce",))


def test_a_spec_needs_an_env_with_a_spec():
    with pytest.raises(InvalidArgumentError, match="without a spec"):
        check_wrapper(broken.Base, make_env=Echo, skip=("workers",))
