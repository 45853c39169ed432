"""Observations of every kind are scored, without a wrapper, on every shelf."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import (
    AutoresetMode,
    SyncVectorEnv,
    VectorEnv,
    VectorObservationWrapper,
)
from gymnasium.wrappers import FrameStackObservation
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from hxwrappers import RNDBonus, vector
from hxwrappers.sb3 import VecRNDBonus

QUICK: dict[str, Any] = {
    "features": 8,
    "hidden": 8,
    "warmup_steps": 2,
    "update_every": 4,
    "seed": 0,
}
BOX = spaces.Box(-1, 1, (3,), np.float32)


class Drawn(gym.Env[Any, Any]):
    """Draws its observations from any space, or makes them; an episode lasts three steps."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, space: spaces.Space[Any], change: Callable[[Any], Any] = lambda x: x
    ) -> None:
        self.observation_space = space
        self.action_space = spaces.Discrete(2)
        self._change = change

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.count = 0
        return self._change(self.observation_space.sample()), {}

    def step(self, action: Any):
        self.count += 1
        return self._change(self.observation_space.sample()), 1.0, self.count == 3, False, {}


def image(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def drawn(space: spaces.Space[Any], change: Callable[[Any], Any] = lambda x: x):
    return partial(Drawn, space, change)


def made(name: str, **arguments: Any):
    return partial(gym.make, name, **arguments)


VECTORS = {mode.value for mode in AutoresetMode}
WHOLE = {  # an environment, the shape of what is scored, and shelves that never get to see it
    "FrozenLake": (made("FrozenLake-v1"), (16,), set()),
    "Taxi": (made("Taxi-v4"), (500,), set()),
    "bits to flip": (BitFlippingEnv, (10,), set()),
    "bits to flip, as a number": (partial(BitFlippingEnv, discrete_obs_space=True), (1024,), set()),
    "MiniGrid": (made("MiniGrid-Empty-5x5-v0"), (147,), {"sb3"}),
    "MultiDiscrete": (drawn(spaces.MultiDiscrete([3, 4])), (7,), set()),
    "MultiBinary": (drawn(spaces.MultiBinary(4)), (4,), set()),
    "Tuple": (drawn(spaces.Tuple([spaces.Discrete(3), BOX])), (6,), set()),
    "Dict of vectors": (drawn(spaces.Dict(a=BOX, b=spaces.Discrete(2))), (5,), set()),
    "nested Dict": (
        drawn(spaces.Dict(arm=spaces.Dict(a=BOX, b=BOX), c=spaces.Discrete(2))),
        (8,),
        {"sb3"},
    ),
    "camera in a nested Dict": (
        drawn(spaces.Dict(eyes=spaces.Dict(left=image(40, 40, 3)), arm=BOX)),
        (3, 40, 40),
        {"sb3"},
    ),
    "RGBA": (drawn(image(40, 40, 4)), (4, 40, 40), set()),
    "feature planes": (drawn(image(17, 40, 40)), (17, 40, 40), set()),
    "9 feature planes": (drawn(image(40, 40, 9)), (9, 40, 40), set()),
    "four grey frames": (drawn(image(4, 40, 40)), (1, 40, 40), set()),
    "two stacked grey frames": (
        lambda: FrameStackObservation(Drawn(image(40, 40)), 2),
        (1, 40, 40),
        set(),
    ),
    "float32 for float64": (
        drawn(spaces.Box(-1, 1, (3,), np.float64), lambda x: x.astype(np.float32)),
        (3,),
        set(),
    ),
    "float64 for float32": (drawn(BOX, lambda x: x.astype(np.float64)), (3,), {"sb3"}),
    "float32 for int32": (
        drawn(spaces.Box(-5, 5, (3,), np.int32), lambda x: x.astype(np.float32)),
        (3,),
        {"sb3", *VECTORS},
    ),
    "int64 for int32": (
        drawn(spaces.Box(-5, 5, (3,), np.int32), lambda x: x.astype(np.int64)),
        (3,),
        set(),
    ),
}


def steps_of_single(make: Callable[[], gym.Env[Any, Any]]):
    env = RNDBonus(make(), **QUICK)
    env.action_space.seed(1)
    env.reset(seed=0)
    for _ in range(14):
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        yield env, reward, info["extrinsic_reward"], info["intrinsic_reward"]
        if terminated or truncated:
            env.reset()


def steps_of_vector(make: Callable[[], gym.Env[Any, Any]], mode: AutoresetMode):
    def plain() -> gym.Env[Any, Any]:
        env = make()  # vectors of Gymnasium have no place for MiniGrid's missions
        if "mission" in getattr(env.observation_space, "spaces", {}):
            kept = {key: part for key, part in env.observation_space.items() if key != "mission"}
            env = gym.wrappers.TransformObservation(
                env, lambda seen: {key: seen[key] for key in kept}, spaces.Dict(kept)
            )
        return env

    envs = vector.RNDBonus(SyncVectorEnv([plain] * 2, autoreset_mode=mode), **QUICK)
    envs.action_space.seed(1)
    envs.reset(seed=0)
    for _ in range(14):
        _, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())
        yield envs, rewards, infos["extrinsic_reward"], infos["intrinsic_reward"]
        over = terminated | truncated
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})


def steps_of_sb3(make: Callable[[], gym.Env[Any, Any]]):
    venv = VecRNDBonus(DummyVecEnv([make] * 2), **QUICK)
    venv.action_space.seed(1)
    venv.seed(0)
    venv.reset()
    for _ in range(14):
        actions = np.stack([venv.action_space.sample() for _ in range(2)])
        _, rewards, _, infos = venv.step(actions)
        yield (
            venv,
            rewards,
            *(
                np.array([info[name] for info in infos])
                for name in ("extrinsic_reward", "intrinsic_reward")
            ),
        )


SHELVES = {
    "single": steps_of_single,
    **{mode.value: partial(steps_of_vector, mode=mode) for mode in AutoresetMode},
    "sb3": steps_of_sb3,
}


@pytest.mark.parametrize("shelf", SHELVES)
@pytest.mark.parametrize("name", WHOLE)
def test_every_kind_of_observation_on_every_shelf(name, shelf):
    make, frame_shape, refused_by = WHOLE[name]
    if name == "MiniGrid":
        pytest.importorskip("minigrid")
    if shelf in refused_by:
        pytest.skip("vectors of such environments refuse it, or convert it to what they say")
    positive = 0
    for wrapped, reward, extrinsic, intrinsic in SHELVES[shelf](make):
        assert wrapped.model.layout.frame_shape == frame_shape
        np.testing.assert_allclose(reward, extrinsic + intrinsic, rtol=1e-5)
        positive += int(np.any(np.asarray(intrinsic) > 0))
    assert positive >= 5
    assert wrapped.model.updates >= 2


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.float32])
def test_vec_normalize_says_one_type_and_gives_another(dtype):
    inside = DummyVecEnv([drawn(spaces.Box(-5, 5, (3,), dtype))] * 2)
    venv = VecRNDBonus(VecNormalize(inside, norm_reward=False), **QUICK)
    venv.reset()
    assert venv.observation_space.dtype == dtype
    for _ in range(14):
        observations, _, _, infos = venv.step(np.zeros(2, int))
        assert observations.dtype == np.float32
    assert all(info["intrinsic_reward"] > 0 for info in infos)
    assert venv.model.updates >= 2


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_a_wrapper_of_a_vector_that_keeps_the_space_and_changes_the_type(dtype):
    class Scaled(VectorObservationWrapper):
        def observations(self, observations):
            return (observations / 5).astype(np.float32)

    inside = SyncVectorEnv([drawn(spaces.Box(-5, 5, (3,), dtype))] * 2)
    envs = vector.RNDBonus(Scaled(inside), **QUICK)
    envs.reset(seed=0)
    for _ in range(14):
        infos = envs.step(envs.action_space.sample())[4]
    assert (infos["intrinsic_reward"][infos["_intrinsic_reward"]] > 0).all()


@pytest.mark.parametrize(("channels", "newest"), [(1, 1), (3, 3)])
def test_of_frames_that_stable_baselines3_stacks_the_newest_is_scored(channels, newest):
    inside = DummyVecEnv([drawn(image(40, 40, channels))])
    venv = VecRNDBonus(VecFrameStack(inside, 4), **QUICK)
    assert venv.observation_space.shape == (40, 40, 4 * channels)
    assert venv.model.layout.frame_shape == (newest, 40, 40)


class TensorEnvs(VectorEnv[Any, Any, Any]):
    """Environments that hold tensors, as those of Isaac Lab, ManiSkill and Brax do on a GPU."""

    def __init__(self, space: spaces.Space[Any], mode: AutoresetMode, num_envs: int = 3) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": mode}
        self.single_observation_space = self.observation_space = space
        self.single_action_space = self.action_space = spaces.Discrete(2)
        self._draws = torch.Generator().manual_seed(0)

    def _observed(self) -> Any:
        values = torch.rand(self.num_envs, 3, generator=self._draws)
        return (
            {"state": values} if isinstance(self.single_observation_space, spaces.Dict) else values
        )

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None):
        self._count = torch.zeros(self.num_envs, dtype=torch.int64)
        return self._observed(), {}

    def step(self, actions: Any):
        self._count += 1
        over = self._count % 4 == torch.arange(self.num_envs)
        infos = {"final_obs": self._observed()} if over.any() else {}
        rewards = torch.ones(self.num_envs)
        return self._observed(), rewards, over, torch.zeros_like(over), infos


@pytest.mark.parametrize("kind", [vector.RNDBonus, vector.CNDBonus])
@pytest.mark.parametrize("space", [BOX, spaces.Dict(state=BOX)], ids=["Box", "Dict"])
@pytest.mark.parametrize("mode", AutoresetMode)
def test_tensors_are_scored_where_they_are(kind, space, mode, monkeypatch):
    arrays: dict[str, Any] = {**QUICK, "contrastive_loss": "vicreg", "pairs": 4}
    settings = arrays if kind is vector.CNDBonus else QUICK
    envs = kind(TensorEnvs(space, mode), **settings)
    for name in ("cpu", "numpy", "__array__"):
        monkeypatch.setattr(
            torch.Tensor, name, lambda *_, name=name, **__: pytest.fail(f"{name}() of a tensor")
        )
    envs.reset(seed=0)
    for _ in range(14):
        _, rewards, terminations, _, infos = envs.step(None)
        assert isinstance(rewards, torch.Tensor)
        assert torch.equal(rewards, infos["extrinsic_reward"] + infos["reward_bonus"])
        if mode is AutoresetMode.DISABLED:
            envs.reset(options={"reset_mask": terminations})
    assert float(infos["intrinsic_reward"].sum()) > 0
    assert envs.model.updates >= 2


def test_tensors_earn_what_arrays_earn():
    twins = [vector.RNDBonus(TensorEnvs(BOX, AutoresetMode.SAME_STEP), **QUICK) for _ in range(2)]
    inner = twins[1].env
    step, reset = inner.step, inner.reset

    def as_arrays(result):
        observations, rewards, terminations, truncations, infos = result
        finals = infos.get("final_obs")
        infos = {} if finals is None else {"final_obs": finals.numpy()}
        return (
            observations.numpy(),
            rewards.numpy(),
            terminations.numpy(),
            truncations.numpy(),
            infos,
        )

    inner.step = lambda actions: as_arrays(step(actions))
    inner.reset = lambda **arguments: (reset(**arguments)[0].numpy(), {})
    for twin in twins:
        twin.reset(seed=0)
    for _ in range(14):
        tensors, arrays = (twin.step(None)[1] for twin in twins)
        np.testing.assert_allclose(tensors.numpy(), arrays, rtol=1e-5)


def test_a_checkpoint_of_environments_that_hold_tensors():
    settings: dict[str, Any] = {**QUICK, "contrastive_loss": "vicreg", "pairs": 4}
    first, second = (
        vector.CNDBonus(TensorEnvs(BOX, AutoresetMode.SAME_STEP), **settings) for _ in range(2)
    )
    first.reset(seed=0)
    for _ in range(5):
        first.step(None)
    second.load_state_dict(first.state_dict())
    second.env._count, second.env._draws = first.env._count.clone(), first.env._draws.clone_state()
    for _ in range(9):
        assert torch.equal(first.step(None)[1], second.step(None)[1])
