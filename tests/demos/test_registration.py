"""Demonstrations of environments registered in any way, and what says why one does not replay."""

import functools
import random
import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers import DemoRecorder, DemoResetCurriculum
from hxwrappers.curriculum import SuccessTracker
from hxwrappers.demos import Demo, record_actions
from hxwrappers.demos.environment import make_environment
from hxwrappers.errors import DemoError, InvalidArgumentError


class Chain(gym.Env):
    """Eight steps to the right."""

    observation_space = gym.spaces.Discrete(9)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, price=1.0, **_):
        self.price = price

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return 0, {}

    def step(self, action):
        self.at += 1
        return self.at, self.pay(), self.at >= 8, False, {}

    def pay(self):
        return self.price


def make_chain(**kwargs):
    return Chain(**kwargs)


@pytest.mark.parametrize("env_id", ["MiniGrid-Empty-5x5-v0", "BabyAI-GoToRedBall-v0"])
def test_packages_that_register_their_environments_are_imported_for_a_file(env_id):
    pytest.importorskip("minigrid")
    code = (
        "import gymnasium as gym; from hxwrappers.demos.environment import import_plugin; "
        f"import_plugin({env_id!r}); assert {env_id!r} in gym.registry"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


WAYS = {
    "text": f"{__name__}:Chain",
    "class": Chain,
    "function": make_chain,
    "partial": functools.partial(Chain, unused=1),
}


@pytest.fixture
def registered():
    names = []

    def register(entry_point, **kwargs):
        names.append(f"HxChain{len(names)}-v0")
        gym.register(names[-1], entry_point=entry_point, kwargs=kwargs)
        return names[-1]

    yield register
    for name in names:
        del gym.registry[name]


def recorded(env, steps=6):
    return record_actions(env, [1] * steps, seed=0)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_registering(way, registered, tmp_path):
    name = registered(WAYS[way], price=2.0)
    recorded(gym.make(name)).save(tmp_path / "demo.npz")
    demo = Demo.load(tmp_path / "demo.npz")
    assert demo.metadata.env["spec"]["kwargs"] == {"price": 2.0}
    assert demo.verify(make_environment(demo)).ok
    with pytest.raises(DemoError, match=r"the arguments \{'price': 2\.0\}"):
        DemoResetCurriculum(gym.make(name, price=1.0), demo).reset(seed=0)


def test_arguments_that_no_file_holds(registered):
    name = registered(Chain, rule=object())
    demo = recorded(gym.make(name))
    assert demo.metadata.env["spec"] is None
    DemoResetCurriculum(gym.make(name), demo).reset(seed=0)
    with pytest.raises(DemoError, match="arguments that the file does not hold"):
        DemoResetCurriculum(gym.make(name, price=3.0), demo).reset(seed=0)
    with pytest.raises(DemoError, match="does not say"):
        make_environment(demo)


CHANCE = {
    "random": lambda _: float(random.random() < 0.5),
    "numpy.random": lambda _: float(np.random.rand() < 0.5),  # noqa: NPY002 - the fault itself
    "a generator of its own": lambda _: float(np.random.default_rng().random() < 0.5),
}


@pytest.mark.parametrize("source", CHANCE)
def test_chance_that_no_seed_fixes_is_named(source, monkeypatch):
    class Chancy(Chain):
        pay = CHANCE[source]

    # What was recorded can only come again by chance.
    demo = recorded(Chancy())
    demo = replace(demo, rewards=np.full(len(demo), 0.25))
    with pytest.raises(DemoError, match=r"chance in it that reset\(seed=\) does not fix"):
        DemoResetCurriculum(Chancy(), demo).reset(seed=0)
    seeded = replace(recorded(Chain()), rewards=np.full(6, 0.25))
    with pytest.raises(DemoError, match="make the environment with the same"):
        DemoResetCurriculum(Chain(), seeded).reset(seed=0)


@pytest.mark.parametrize("given", [[0, 0, 2], (1.0, 0.5), np.array([0, 0, 2]), np.zeros((3, 2))])
def test_actions_are_no_demonstration(given):
    for use in (lambda: DemoResetCurriculum(Chain(), given), lambda: SuccessTracker(given)):
        with pytest.raises(DemoError, match=r"record_actions\(env, actions, seed\).*DemoRec"):
            use()


@pytest.mark.parametrize("given", [None, 3, object(), [None], {1: "demo"}.items(), [[0, 1]]])
def test_neither_is_anything_else(given):
    with pytest.raises(DemoError, match="must be a Demo, the path of a file"):
        DemoResetCurriculum(Chain(), given)


class TestFromActions:
    def test_it_is_what_a_recorder_makes(self):
        env = DemoRecorder(gym.make("FrozenLake-v1"))
        env.reset(seed=3, options=None)
        for action in (1, 1, 2):
            env.step(action)
        recorded, demo = env.demo(), record_actions(gym.make("FrozenLake-v1"), [1, 1, 2], 3)
        assert demo.actions.tolist() == recorded.actions.tolist()
        assert demo.metadata.seed == 3
        assert demo.metadata.made_by == {"tool": "record_actions"}
        assert demo.verify(gym.make("FrozenLake-v1")).ok

    def test_arrays(self):
        actions = np.random.default_rng(0).uniform(-2, 2, (10, 1))
        env = gym.make("Pendulum-v1")
        demo = record_actions(env, actions, seed=1, snapshot_every=4)
        assert demo.actions.tolist() == actions.tolist()
        assert demo.snapshots.steps.tolist() == [0, 4, 8] or not len(demo.snapshots)
        assert demo.verify(env).ok

    def test_what_is_wrong_is_said(self):
        with pytest.raises(InvalidArgumentError, match="ended after 8 of the 9 actions"):
            recorded(Chain(), 9)
        with pytest.raises(InvalidArgumentError, match=r"Action 1 is 2, which is not in Discrete"):
            record_actions(Chain(), [0, 2], seed=0)
        with pytest.raises(InvalidArgumentError, match="which is not in Box"):
            record_actions(gym.make("Pendulum-v1"), [[9.0]], seed=0)
