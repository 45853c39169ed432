"""Restoring a snapshot gives the same future, whatever stands around the environment."""

import pickle
from typing import Any

import gymnasium as gym
import minigrid
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.wrappers import FrameStackObservation, NormalizeObservation, StickyAction, TimeLimit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots import (
    AleSnapshotter,
    DeepCopySnapshotter,
    MujocoSnapshotter,
    OwnStateSnapshotter,
    ReplaySnapshotter,
    find_snapshotter,
    first_inexact_step,
)
from tests.demos.samples import deep_stack, frame_env

gym.register_envs(minigrid)


def cart_pole() -> gym.Env[Any, Any]:
    env = NormalizeObservation(gym.make("CartPole-v1", max_episode_steps=30))
    return FrameStackObservation(StickyAction(env, 0.4, (1, 3)), 3)


class Secretive(gym.Env):
    """Cannot be copied, but replays from its seed."""

    observation_space = gym.spaces.Discrete(1000)
    action_space = gym.spaces.Discrete(3)

    def __init__(self):
        self.generator = (number for number in range(0))
        self.total = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.total = int(self.np_random.integers(10))
        return self.total, {}

    def step(self, action):
        self.total += int(action) + int(self.np_random.integers(3))
        return self.total, float(action), self.total > 900, False, {}


class SelfFreezing(Secretive):
    def get_state(self):
        return self.total, self.np_random.bit_generator.state

    def set_state(self, state):
        self.total, self.np_random.bit_generator.state = state


ALIKE = {"ale random skip", "ale ram", "ale v5 defaults"}
"""As "ale frames" to a snapshot."""

STACKS = {
    "ale frames": (lambda: frame_env("MontezumaRevenge"), AleSnapshotter),
    "ale deep": (deep_stack, AleSnapshotter),
    "ale random skip": (lambda: frame_env("Qbert", frameskip=(2, 5)), AleSnapshotter),
    "ale v5 defaults": (lambda: gym.make("ALE/Freeway-v5"), AleSnapshotter),
    "ale ram": (lambda: frame_env("Pitfall", obs_type="ram"), AleSnapshotter),
    "minigrid": (lambda: gym.make("MiniGrid-DoorKey-5x5-v0"), DeepCopySnapshotter),
    "cart pole": (cart_pole, DeepCopySnapshotter),
    "toy text": (lambda: TimeLimit(gym.make("FrozenLake-v1"), 20), DeepCopySnapshotter),
    "own state": (lambda: TimeLimit(SelfFreezing(), 40), OwnStateSnapshotter),
    "replay": (lambda: TimeLimit(Secretive(), 40), ReplaySnapshotter),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in STACKS],
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**31 - 1),
    before=st.integers(0, 40),
    between=st.integers(0, 20),
    after=st.integers(1, 25),
)
def test_the_same_future(name, seed, before, between, after):
    make, family = STACKS[name]
    env, other = _envs(name, make)
    snapshotter = find_snapshotter(env)
    assert type(snapshotter) is family
    env.action_space.seed(seed)
    env.reset(seed=seed)
    snapshotter.on_reset(seed, None)
    ended = _walk(snapshotter, before)
    while not ended and not snapshotter.exact_now():
        ended = _walk(snapshotter, 1)
    if ended:
        return
    snapshot = snapshotter.snapshot()
    actions = [env.action_space.sample() for _ in range(after)]
    first = _run(snapshotter, actions)
    if any(first[-1][2:]) or _walk(snapshotter, between):
        env.reset()
    snapshotter.restore(snapshot)
    assert data_equivalence(first, _run(snapshotter, actions), exact=True)

    elsewhere = type(snapshotter)(other)
    if snapshotter.persistent:
        elsewhere.restore(elsewhere.decode(snapshotter.encode(snapshot)))
    else:
        elsewhere.restore(pickle.loads(pickle.dumps(snapshot)))
    assert data_equivalence(first, _run(elsewhere, actions), exact=True)


_made: dict[str, Any] = {}


def _envs(name, make):
    if name not in _made:
        _made[name] = make(), make()
        for env in _made[name]:
            env.reset(seed=1)
    return _made[name]


def _walk(snapshotter, steps):
    for _ in range(steps):
        action = snapshotter.env.action_space.sample()
        *_, terminated, truncated, _ = snapshotter.env.step(action)
        snapshotter.on_step(action)
        if terminated or truncated:
            return True
    return False


def _run(snapshotter, actions):
    results = []
    for action in actions:
        observation, reward, terminated, truncated, _ = snapshotter.env.step(action)
        results.append((observation, float(reward), bool(terminated), bool(truncated)))
        if terminated or truncated:
            break
    return results


def test_the_observation_is_kept_with_the_state():
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=0)
    snapshot = find_snapshotter(env).snapshot(observation)
    assert (snapshot.observation == observation).all()
    assert snapshot.observation is not observation


def test_snapshots_of_other_families_and_wrappers_are_refused():
    ale, cart = frame_env(), gym.make("CartPole-v1")
    ale.reset(seed=0), cart.reset(seed=0)
    pong = find_snapshotter(ale)
    with pytest.raises(SnapshotError, match="family 'deep_copy'"):
        pong.restore(find_snapshotter(cart).snapshot())
    stacked = FrameStackObservation(frame_env(), 2)
    stacked.reset(seed=0)
    with pytest.raises(SnapshotError, match=r"inside the wrappers .*FrameStack"):
        pong.restore(find_snapshotter(stacked).snapshot())
    with pytest.raises(SnapshotError, match="inside the wrappers"):
        find_snapshotter(stacked).restore(pong.snapshot())
    limited = TimeLimit(gym.make("CartPole-v1"), 5)
    limited.reset(seed=0)
    with pytest.raises(SnapshotError, match="outermost first"):
        find_snapshotter(cart).restore(find_snapshotter(limited).snapshot())


def test_harmless_wrappers_may_differ():
    plain = frame_env(disable_env_checker=True)
    limited = TimeLimit(frame_env(), 100)
    plain.reset(seed=0), limited.reset(seed=3)
    for _ in range(10):
        plain.step(0), limited.step(2)
    find_snapshotter(limited).restore(find_snapshotter(plain).snapshot())
    assert all(
        data_equivalence(plain.step(3)[:4], limited.step(3)[:4], exact=True) for _ in range(5)
    )


def test_what_does_not_restore_exactly_is_said():
    found = first_inexact_step(AleSnapshotter(frame_env("YarsRevenge")), steps=100)
    assert found is not None
    assert "observation differs 1 steps after restoring" in found
    assert first_inexact_step(AleSnapshotter(frame_env("Tetris")), steps=60, trials=3) is None


def test_qbert_right_after_a_reset_is_refused():
    env = frame_env("Qbert")
    env.reset(seed=0)
    snapshotter = find_snapshotter(env)
    assert not snapshotter.exact_now()
    with pytest.raises(SnapshotError, match="cannot be frozen exactly"):
        snapshotter.snapshot()
    env.step(0)
    assert snapshotter.exact_now()


def test_windows_and_their_pictures_are_not_copied():
    class Surface:
        def __deepcopy__(self, memo):
            raise TypeError("cannot pickle 'pygame.surface.Surface' object")

    Surface.__module__ = "pygame.surface"
    env = gym.make("FrozenLake-v1")
    picture = Surface()
    env.unwrapped.elf_images = [picture, (Surface(), Surface())]
    env.unwrapped.tiles = {"ice": Surface(), "more": {"hole": Surface()}}
    env.reset(seed=0)
    snapshotter = find_snapshotter(env)
    assert isinstance(snapshotter, DeepCopySnapshotter)
    frozen = snapshotter.snapshot()
    env.step(2)
    assert env.unwrapped.s != 0
    snapshotter.restore(frozen)
    assert env.unwrapped.s == 0
    assert env.unwrapped.elf_images[0] is picture
    env.unwrapped.mixed = [Surface(), 3]
    with pytest.raises(SnapshotError, match="mixed"):
        DeepCopySnapshotter(env).snapshot()


def test_sticky_snapshots_wait_for_an_action_that_is_taken():
    env = frame_env("Breakout", repeat_action_probability=0.5)
    snapshotter = find_snapshotter(env)
    env.reset(seed=0)
    assert snapshotter.exact_now()
    exact = []
    for _ in range(400):
        env.step(env.action_space.sample())
        exact.append(snapshotter.exact_now())
    assert 0.4 < np.mean(exact) < 0.6


def test_replay_needs_a_seed():
    snapshotter = find_snapshotter(Secretive())
    snapshotter.env.reset()
    with pytest.raises(SnapshotError, match="needs a seed"):
        snapshotter.snapshot()


def test_only_checked_families_are_written_to_files():
    for env in (gym.make("CartPole-v1"), SelfFreezing()):
        env.reset(seed=0)
        snapshotter = find_snapshotter(env)
        with pytest.raises(SnapshotError, match="cannot be written"):
            snapshotter.encode(snapshotter.snapshot())
        with pytest.raises(SnapshotError, match="not read from files"):
            snapshotter.decode(b"N")
        assert snapshotter.fingerprint(snapshotter.snapshot()) is None


def test_procgen():
    procgen = pytest.importorskip("procgen", reason="Procgen is not installed")

    class Maze(gym.Env):
        observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
        action_space = gym.spaces.Discrete(15)

        def __init__(self):
            self.env = procgen.ProcgenGym3Env(num=1, env_name="maze", rand_seed=1, num_threads=0)
            self.steps = 0

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.env.act(np.array([-1]))
            return self.env.observe()[1]["rgb"][0].copy(), {}

        def step(self, action):
            self.steps += 1
            self.env.act(np.array([action]))
            rewards, observations, first = self.env.observe()
            return observations["rgb"][0].copy(), float(rewards[0]), bool(first[0]), False, {}

    snapshotter = find_snapshotter(FrameStackObservation(Maze(), 2))
    assert isinstance(snapshotter, OwnStateSnapshotter)
    assert first_inexact_step(snapshotter, steps=60, trials=3) is None
    several = Maze()
    several.env = procgen.ProcgenGym3Env(num=2, env_name="maze", num_threads=0)
    with pytest.raises(SnapshotError, match="num=1"):
        find_snapshotter(several).snapshot()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mujoco():
    pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    pytest.importorskip("imageio", reason="Gymnasium's MuJoCo environments need imageio")
    env = TimeLimit(gym.make("HalfCheetah-v5"), 50)
    snapshotter = find_snapshotter(env)
    assert isinstance(snapshotter, MujocoSnapshotter)
    assert first_inexact_step(snapshotter, steps=40, trials=3) is None
    env.reset(seed=0)
    encoded = snapshotter.encode(snapshotter.snapshot())
    snapshotter.restore(snapshotter.decode(encoded))
    other = gym.make("Hopper-v5")
    with pytest.raises(SnapshotError, match="does not fit this MuJoCo model"):
        find_snapshotter(other).decode(encoded)


def test_nobody_sees_the_ram_that_is_shown_while_nobody_looks():
    env = frame_env()
    env.reset(seed=0)
    snapshotter = find_snapshotter(env)
    with snapshotter.hidden_from_env():
        assert env.step(0)[0].shape == (210, 160, 3)  # the checker still has to see a picture
    with snapshotter.hidden_from_env():
        assert env.step(0)[0].shape == (128,)
    assert env.step(0)[0].shape == (210, 160, 3)
    with pytest.raises(KeyError), snapshotter.hidden_from_env():
        raise KeyError
    assert env.step(0)[0].shape == (210, 160, 3)
    stacked = FrameStackObservation(env, 2)
    with find_snapshotter(stacked).hidden_from_env():
        assert stacked.step(0)[0].shape == (2, 210, 160, 3)
