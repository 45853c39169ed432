"""What is executed keeps to the environment's action mask: shelves x masks x kinds of actions."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from hxwrappers import StickyActions, vector
from hxwrappers.bridge.actions import flat_mask
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3 import VecStickyActions, from_vector_env
from tests.toys import make_echo

KINDS = {
    "discrete": (lambda: spaces.Discrete(4, start=2), [[a] for a in range(4)]),
    "multi-discrete": (
        lambda: spaces.MultiDiscrete([2, 3], start=[1, 0]),
        [[a, 2 + b] for a, b in product(range(2), range(3))],
    ),
    "multi-binary": (
        lambda: spaces.MultiBinary(2),
        [[a, 2 + b] for a, b in product(range(2), range(2))],
    ),
}
"""The space, and by its actions in order which entries of the mask each one needs."""
SOURCES = ("method", "info", "observation")
LENGTH, EPISODES, PROBABILITY = 5, 8, 0.6


def actions_of(kind):
    first = {"discrete": [2, 3, 4, 5]}.get(kind)
    if first is not None:
        return [np.int64(action) for action in first]
    parts = product((1, 2), range(3)) if kind == "multi-discrete" else product((0, 1), (0, 1))
    dtype = np.int64 if kind == "multi-discrete" else np.int8
    return [np.array(part, dtype) for part in parts]


class Masked(gym.Env):
    """Says in one of three ways which actions are legal, others in each step; keeps what it did."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, kind="discrete", source="method"):
        make, self.needs = KINDS[kind]
        self.kind, self.source, self.action_space = kind, source, make()
        self.size = 1 + max(max(need) for need in self.needs)
        own = spaces.Box(0, 1, (1,), np.float32)
        self.observation_space = own
        if source == "observation":
            mask = spaces.Box(0, 1, (self.size,), np.int8)
            self.observation_space = spaces.Dict(seen=own, action_mask=mask)
        if source == "method":
            self.action_masks = lambda: self.mask
        self.executed = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._told()

    def step(self, action):
        assert self.legal()[self.index(action)], f"{action} is not legal"
        self.executed.append(self.index(action))
        self.steps += 1
        observation, info = self._told()
        return observation, 0.0, self.steps >= LENGTH, False, info

    def index(self, action):
        known = actions_of(self.kind)
        return next(i for i, each in enumerate(known) if np.array_equal(each, action))

    def legal(self):
        return [bool(self.mask[need].all()) for need in self.needs]

    def _told(self):
        self.mask = np.zeros(self.size, np.int8)
        while not any(self.legal()):
            self.mask = self.np_random.integers(0, 2, self.size).astype(np.int8)
        seen = np.zeros(1, np.float32)
        if self.source == "observation":
            seen = {"seen": seen, "action_mask": self.mask.copy()}
        return seen, {"action_mask": self.mask.copy()} if self.source == "info" else {}


class Agents:
    """One for each environment; they choose among legal actions."""

    def __init__(self, envs):
        self.envs = envs
        self.generators = [np.random.default_rng(lane) for lane in range(len(envs))]

    def act(self, lane):
        env = self.envs[lane].unwrapped
        choice = self.generators[lane].choice(np.flatnonzero(env.legal()))
        return actions_of(env.kind)[choice]


def played_alone(kind, source):
    """By environment: what was executed in each step, and in which ones by repetition."""
    envs = [StickyActions(Masked(kind, source), PROBABILITY) for _ in range(2)]
    agents, lanes = Agents(envs), []
    for lane, env in enumerate(envs):
        flags = []
        for episode in range(EPISODES):
            env.reset(seed=3 + lane if not episode else None)
            for _ in range(LENGTH):
                *_, info = env.step(agents.act(lane))
                flags.append(info["sticky_action"])
                assert env.unwrapped.index(info["executed_action"]) == env.unwrapped.executed[-1]
        lanes.append((env.unwrapped.executed, flags))
    return lanes


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_one_environment(kind, source):
    flags = [flag for _, lane in played_alone(kind, source) for flag in lane]
    unmasked = PROBABILITY * (1 - 1 / LENGTH)
    assert 0 < np.mean(flags) < unmasked - 0.1  # some coins were not obeyed


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_vectors_do_the_same(kind, source, mode):
    inner = SyncVectorEnv([lambda: Masked(kind, source)] * 2, autoreset_mode=mode)
    envs, agents = vector.StickyActions(inner, PROBABILITY), Agents(inner.envs)
    expected = played_alone(kind, source)
    envs.reset(seed=3)
    flags, ended = [[], []], np.zeros(2, bool)
    while len(flags[0]) < len(expected[0][1]):
        idle = ended if mode is AutoresetMode.NEXT_STEP else np.zeros(2, bool)
        actions = [actions_of(kind)[0] if idle[lane] else agents.act(lane) for lane in range(2)]
        *_, terminations, _, infos = envs.step(np.array(actions))
        for lane in np.flatnonzero(~idle):
            flags[lane].append(bool(infos["sticky_action"][lane]))
            env = inner.envs[lane].unwrapped
            assert env.index(infos["executed_action"][lane]) == env.executed[-1]
        assert infos["_executed_action"].tolist() == (~idle).tolist()
        ended = terminations
        if mode is AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended.copy()})
    assert [(env.unwrapped.executed, own) for env, own in zip(inner.envs, flags, strict=True)] == (
        expected
    )


@pytest.mark.parametrize("through", ["DummyVecEnv", "from_vector_env"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_stable_baselines3_does_the_same(kind, source, through):
    makers = [lambda: Masked(kind, source)] * 2
    if through == "DummyVecEnv":
        venv = DummyVecEnv(makers)
        inner = venv.envs
    else:
        envs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
        venv, inner = from_vector_env(envs), envs.envs
    sticky, agents = VecStickyActions(venv, PROBABILITY), Agents(inner)
    expected = played_alone(kind, source)
    sticky.seed(3)
    sticky.reset()
    flags = [[], []]
    for _ in expected[0][1]:
        *_, infos = sticky.step(np.array([agents.act(lane) for lane in range(2)]))
        for lane, info in enumerate(infos):
            flags[lane].append(info["sticky_action"])
            env = inner[lane].unwrapped
            assert env.index(info["executed_action"]) == env.executed[-1]
    assert [(env.unwrapped.executed, own) for env, own in zip(inner, flags, strict=True)] == (
        expected
    )


def masked_and_seeded():
    return Masked()


def plain():
    return gym.make("FrozenLake-v1")


@pytest.mark.slow
@pytest.mark.parametrize("make", [masked_and_seeded, plain])
@pytest.mark.parametrize("workers", [AsyncVectorEnv, SubprocVecEnv])
def test_workers_are_asked_only_for_what_they_have(workers, make):
    if workers is AsyncVectorEnv:
        envs = vector.StickyActions(AsyncVectorEnv([make] * 2), PROBABILITY)
        envs.reset(seed=0)
        masks = lambda: envs.unwrapped.call("action_masks")  # noqa: E731
    else:
        envs = VecStickyActions(SubprocVecEnv([make] * 2), PROBABILITY)
        envs.reset()
        masks = lambda: envs.env_method("action_masks")  # noqa: E731
    for _ in range(20):
        actions = [2 + int(np.argmax(mask)) for mask in masks()] if make is not plain else [0, 0]
        envs.step(np.array(actions))
    envs.close()


def test_a_state_holds_the_masks():
    straight, resumed = (StickyActions(Masked(source="info"), 0.9) for _ in range(2))
    straight.reset(seed=0)
    straight.step(Agents([straight]).act(0))
    resumed.load_state_dict(straight.state_dict())
    np.testing.assert_array_equal(resumed._masks[0], straight.unwrapped.mask)
    for masks in ([None, None], [[2, 0, 0, 0]], [[1]]):
        with pytest.raises(CheckpointError):
            resumed.load_state_dict({**straight.state_dict(), "masks": masks})
    older = straight.state_dict()
    del older["masks"]
    resumed.load_state_dict(older)


class Boxed(gym.Wrapper):
    """Actions that no mask is for."""

    def __init__(self, env):
        super().__init__(env)
        self.action_space = spaces.Box(-1, 1, (2,))


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(InvalidArgumentError, match="only for Discrete"):
        StickyActions(Boxed(Masked(source="info"))).reset()
    with pytest.raises(InvalidArgumentError, match="4 entries"):
        flat_mask([1, 0, 1], spaces.Discrete(4))
    venv = VecNormalize(DummyVecEnv([lambda: Masked(source="observation")]))
    with pytest.raises(InvalidArgumentError, match="VecNormalize"):
        VecStickyActions(venv).reset()


def test_the_action_executed_is_in_the_info_of_any_space():
    env = StickyActions(make_echo(kind="nested"), 0.5)
    env.reset(seed=0)
    for _ in range(4):
        *_, info = env.step(env.action_space.sample())
        executed = env.unwrapped.executed[-1]
        assert gym.utils.env_checker.data_equivalence(info["executed_action"], executed)
        assert info["executed_action"] is not executed
