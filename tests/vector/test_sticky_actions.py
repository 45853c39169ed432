import io
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ale_py import AtariVectorEnv
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

import hxwrappers
from hxwrappers import StickyActions as SingleStickyActions
from hxwrappers.bridge.environments import autoreset_mode, lane_seeds
from hxwrappers.errors import (
    CheckpointError,
    InvalidArgumentError,
    StackedStickinessWarning,
)
from hxwrappers.vector import StickyActions
from tests.toys import ACTION_SPACES, InPlace, make_echo

LENGTHS = (3, 4, 6)


def vector(mode: AutoresetMode, kind: str = "discrete", sticky: bool = False) -> VectorEnv:
    def make(length: int) -> gym.Env[Any, Any]:
        env = make_echo(length, kind)
        return SingleStickyActions(env, 0.5) if sticky else env

    return SyncVectorEnv([lambda n=n: make(n) for n in LENGTHS], autoreset_mode=mode)


def repeated_by_lane(infos: dict[str, Any]) -> list[bool | None]:
    """Return what each environment says of its step, None for one that was only reset."""
    final = infos.get("final_info", {})
    lanes: list[bool | None] = []
    for lane in range(len(LENGTHS)):
        source = final if final.get("_sticky_action", np.zeros(3))[lane] else infos
        known = "sticky_action" in source and source["_sticky_action"][lane]
        lanes.append(bool(source["sticky_action"][lane]) if known else None)
    return lanes


@pytest.mark.parametrize("kind", ACTION_SPACES)
@pytest.mark.parametrize("mode", AutoresetMode)
def test_equals_single_wrappers(mode, kind):
    singles, wrapped = vector(mode, kind, sticky=True), StickyActions(vector(mode, kind), 0.5)
    observations = [env.reset(seed=5)[0] for env in (singles, wrapped)]
    np.testing.assert_array_equal(*observations)
    singles.action_space.seed(0)
    some_repeated = False
    for step in range(40):
        actions = singles.action_space.sample()
        expected, seen = singles.step(actions), wrapped.step(actions)
        assert data_equivalence(expected[:4], seen[:4])
        if mode is AutoresetMode.SAME_STEP and "final_obs" in expected[4]:
            for one, other in zip(expected[4]["final_obs"], seen[4]["final_obs"], strict=True):
                np.testing.assert_array_equal(one, other)
        assert repeated_by_lane(expected[4]) == repeated_by_lane(seen[4])
        some_repeated |= bool(seen[4]["sticky_action"].any())
        done = expected[2] | expected[3]
        if mode is AutoresetMode.DISABLED and done.any():
            seed = 100 + step if step % 2 else None
            for env in (singles, wrapped):
                env.reset(seed=seed, options={"reset_mask": done.copy()})
    assert some_repeated


def test_callers_may_reuse_their_action_array():
    env = StickyActions(SyncVectorEnv([lambda: make_echo(100, "box")] * 2), 0.9)
    env.reset(seed=0)
    actions = np.full((2, 2), 0.5, np.float32)
    env.step(actions)
    actions[:] = -1
    observations, *_, infos = env.step(actions)
    assert infos["sticky_action"].tolist() == [True, True]
    assert observations[:, 1].tolist() == [1.0, 1.0]


def test_environments_may_change_their_actions():
    singles = SyncVectorEnv([lambda: SingleStickyActions(InPlace(), 0.7)] * 2)
    wrapped = StickyActions(SyncVectorEnv([InPlace] * 2), 0.7)
    for env in (singles, wrapped):
        env.reset(seed=0)
    for step in range(1, 20):
        actions = np.full((2, 1), step / 20, np.float32)
        expected, seen = (env.step(actions.copy())[0] for env in (singles, wrapped))
        np.testing.assert_array_equal(expected, seen)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_continues_from_a_saved_state(mode):
    straight, resumed = (StickyActions(vector(mode), 0.5) for _ in range(2))
    straight.reset(seed=2)
    resumed.reset(seed=2)
    straight.action_space.seed(0)
    actions = [straight.action_space.sample() for _ in range(40)]
    # Step 4 ends the episode of length 4, so the state is taken with a reset pending.
    for action in actions[:4]:
        straight.step(action)
        resumed.env.step(straight._executed)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for action in actions[4:]:
        assert data_equivalence(straight.step(action), resumed.step(action))


def test_atari_vector_env_steps_what_is_executed():
    # Two emulators that are never sticky themselves: the frames tell what was executed.
    make = lambda: AtariVectorEnv("breakout", 3, noop_max=0, autoreset_mode="SameStep")  # noqa: E731
    bare, sticky = make(), StickyActions(make(), 0.5)
    bare.reset(seed=1)
    sticky.reset(seed=1)
    singles = [SingleStickyActions(make_echo(length=10**6), 0.5) for _ in range(3)]
    for lane, env in enumerate(singles):
        env.reset(seed=1 + lane)
    rng = np.random.default_rng(0)
    for _ in range(120):
        actions = rng.integers(0, 4, 3)
        for env, action in zip(singles, actions, strict=True):
            env.step(action)
        executed = np.array([env.unwrapped.executed[-1] for env in singles])
        expected, seen = bare.step(executed), sticky.step(actions)
        np.testing.assert_array_equal(expected[0], seen[0])
        for lane in np.flatnonzero(seen[2] | seen[3]):
            singles[lane].reset()
    bare.close()
    sticky.close()


def test_the_mode_is_the_environments_own():
    # AtariVectorEnv writes its mode into metadata that all vector environments share.
    first = AtariVectorEnv("pong", 2, autoreset_mode="SameStep")
    second = AtariVectorEnv("pong", 2, autoreset_mode="NextStep")
    assert autoreset_mode(first) is AutoresetMode.SAME_STEP
    assert autoreset_mode(second) is AutoresetMode.NEXT_STEP


def test_refuses_an_environment_without_autoreset_mode():
    env = SyncVectorEnv([make_echo])
    env.autoreset_mode = None
    env.metadata = {}
    with pytest.raises(InvalidArgumentError, match="does not say when it resets"):
        StickyActions(env)


def test_refuses_partial_batches():
    with pytest.raises(InvalidArgumentError, match="batch_size=num_envs"):
        StickyActions(AtariVectorEnv("pong", 4, batch_size=2))


def test_lane_seeds():
    mask = np.array([True, False, True])
    assert lane_seeds(None, mask) == [None, None, None]
    assert lane_seeds([1, 2, 3], mask) == [1, None, 3]
    assert lane_seeds(np.array([8, 9]), mask) == [8, None, 9]
    with pytest.raises(InvalidArgumentError, match="4 seeds for 3 environments"):
        lane_seeds([1, 2, 3, 4], mask)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StickyActions(SyncVectorEnv([make_echo])),
        lambda: SyncVectorEnv([lambda: SingleStickyActions(make_echo())]),
        lambda: gym.make_vec("ALE/Pong-v5", 2),
    ],
)
def test_warns_when_the_env_is_sticky_already(make):
    with pytest.warns(StackedStickinessWarning, match="stacked twice"):
        StickyActions(make())


def test_is_exported():
    assert hxwrappers.vector.StickyActions is StickyActions


def test_refuses_a_state_of_another_number_of_environments():
    env = StickyActions(SyncVectorEnv([make_echo]))
    with pytest.raises(CheckpointError, match="vector of 2 environments"):
        StickyActions(SyncVectorEnv([make_echo] * 2)).load_state_dict(env.state_dict())
