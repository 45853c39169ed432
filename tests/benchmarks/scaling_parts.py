"""What `tests.benchmarks.scaling` measures: each wrapper at sizes 1, 10 and 100 times as large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.demos import Demo, shipped
from hxwrappers.demos.environment import make_environment
from hxwrappers.vector import CNDBonus, RNDBonus, StickyActions, YouTubeImitationReward
from hxwrappers.video.checkpoints import Checkpoints
from hxwrappers.video.embedder import Architecture, Embedder

__all__ = ["AXES", "FACTORS", "Call", "Part", "parts"]

FACTORS = (1, 10, 100)
AXES = ("environments", "pixels", "demonstration")
EMBEDDER = Architecture(
    frame_size=70, crop_size=64, channels=(16, 32, 32), blocks=1, hidden=128, dimension=128
)
CHECKPOINTS = 56
"""Of a demonstration of a minute at one every 16 frames."""

Call = Callable[[], object]


@dataclass(frozen=True)
class Part:
    """One wrapper along one axis.

    Attributes:
        name: What the table calls it.
        axis: What grows.
        units: How many steps of the vector of environments, or resets, a call makes.
        envs: How many environments there are at each factor.
        prepare: Makes everything that is not the wrapper's, and returns what makes the call.
    """

    name: str
    axis: str
    units: int
    envs: Callable[[int], int]
    prepare: Callable[[int], Callable[[], Call]]

    @property
    def title(self) -> str:
        """What its rows begin with."""
        return f"{self.axis}: {self.name}"


class Still(VectorEnv[Any, Any, Any]):
    """Environments that cost nothing: views of one array of noise, and no episode ends."""

    def __init__(self, num_envs: int, shape: tuple[int, ...]) -> None:
        self.num_envs = num_envs
        self.single_observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.observation_space = spaces.Box(0, 255, (num_envs, *shape), np.uint8)
        self.single_action_space = spaces.Discrete(18)
        self.action_space = spaces.MultiDiscrete([18] * num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        noise = np.random.default_rng(0)
        self._noise = noise.integers(0, 256, (num_envs + 7, *shape), np.uint8)
        self._over = np.zeros(num_envs, np.bool_)
        self._steps = 0

    def _observations(self) -> np.ndarray:
        start = self._steps % 8
        return self._noise[start : start + self.num_envs]

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return self._observations(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self._steps += 1
        rewards = np.zeros(self.num_envs)
        return self._observations(), rewards, self._over.copy(), self._over.copy(), {}


def stepping(env: VectorEnv, steps: int) -> Call:
    """Steps of a vector of environments."""
    env.reset(seed=0)
    actions = np.zeros(env.num_envs, np.int64)

    def call() -> None:
        for _ in range(steps):
            env.step(actions)

    return call


def track(checkpoints: int) -> Checkpoints:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(checkpoints, EMBEDDER.dimension, generator=generator)
    points = torch.nn.functional.normalize(points, dim=1)
    centre = torch.zeros(EMBEDDER.dimension)
    return Checkpoints(points, centre, torch.arange(checkpoints), 15.0)


def of_vector(
    name: str,
    axis: str,
    steps: int,
    make: Callable[[VectorEnv, int], VectorEnv],
    size: Callable[[int], tuple[int, tuple[int, ...]]],
) -> Part:
    """A wrapper around environments that cost nothing."""

    def prepare(factor: int) -> Callable[[], Call]:
        env = Still(*size(factor))
        return lambda: stepping(make(env, factor), steps)

    return Part(name, axis, steps, lambda factor: size(factor)[0], prepare)


def follow(env: VectorEnv, checkpoints: int) -> VectorEnv:
    return YouTubeImitationReward(
        env, track(checkpoints), Embedder.random(EMBEDDER), frames="observation"
    )


def side(pixels: int, factor: int) -> int:
    return round(pixels * sqrt(factor))


def bonus_steps() -> dict[str, Any]:
    """Each call is a rollout of eight steps and a pass of training over it."""
    return {"update_every": 8, "warmup_steps": 8, "epochs": 1, "seed": 0, "device": "cpu"}


def part_of(demo: Demo, share: int) -> Demo:
    """The hundredth, the tenth or all of a demonstration, with a starting point at its end."""
    stop = len(demo) * share // FACTORS[-1]
    rewarded = np.flatnonzero(demo.rewards[:stop] > 0)
    return demo.slice(stop=stop if len(rewarded) else demo.step_of_reward(1))


def of_curriculum(axis: str, what: str, units: int, long: Demo) -> Part:
    """Episodes from a demonstration, around real emulators."""

    def envs(factor: int) -> int:
        return factor if axis == "environments" else 1

    def prepare(factor: int) -> Callable[[], Call]:
        demo = part_of(long, 100 if axis == "environments" else factor)
        bare = [make_environment(demo) for _ in range(envs(factor))]
        for env in bare:
            env.reset(seed=0)

        def make() -> Call:
            tracker = SuccessTracker(demo, FrontierSettings(), LocalStore())
            wrapped = [DemoResetCurriculum(env, demo, tracker) for env in bare]
            for number, env in enumerate(wrapped):
                env.reset(seed=number)
            return resetting(wrapped, units) if what == "reset" else playing(wrapped, units)

        return make

    return Part(f"DemoResetCurriculum, a {what}", axis, units, envs, prepare)


def of_emulators() -> Part:
    """The same emulators without a wrapper, whose memory is not measured."""

    def prepare(factor: int) -> Callable[[], Call]:
        demo = shipped("montezuma-first-key")
        bare = [make_environment(demo) for _ in range(factor)]
        for env in bare:
            env.reset(seed=0)
        return lambda: playing(bare, 40)

    return Part("the emulators alone, a step", "environments", 40, lambda factor: factor, prepare)


def playing(envs: Sequence[gym.Env[Any, Any]], steps: int) -> Call:
    def call() -> None:
        for _ in range(steps):
            for env in envs:
                _, _, terminated, truncated, _ = env.step(0)
                if terminated or truncated:
                    curriculum = env.has_wrapper_attr("tracker")
                    env.reset(options={"starting_point": 0} if curriculum else None)

    return call


def resetting(envs: Sequence[gym.Env[Any, Any]], resets: int) -> Call:
    latest = envs[0].get_wrapper_attr("tracker").latest[0]
    generator = np.random.default_rng(0)

    def call() -> None:
        for _ in range(resets):
            for env in envs:
                env.reset(options={"starting_point": int(generator.integers(latest))})

    return call


def parts(demo: Demo) -> list[Part]:
    """All that is measured.

    Args:
        demo: The longest demonstration.
    """
    frame, rgb = (4, 42, 42), (70, 70, 3)

    def rnd(env: VectorEnv, _: int) -> VectorEnv:
        return RNDBonus(env, **bonus_steps())

    def cnd(env: VectorEnv, _: int) -> VectorEnv:
        return CNDBonus(env, **bonus_steps())

    return [
        of_vector(
            "StickyActions",
            "environments",
            200,
            lambda env, _: StickyActions(env),
            lambda factor: (factor, (8,)),
        ),
        of_vector("RNDBonus", "environments", 8, rnd, lambda factor: (factor, frame)),
        of_vector("CNDBonus", "environments", 8, cnd, lambda factor: (factor, frame)),
        of_vector(
            "YouTubeImitationReward",
            "environments",
            8,
            lambda env, _: follow(env, CHECKPOINTS),
            lambda factor: (factor, rgb),
        ),
        of_emulators(),
        of_curriculum("environments", "step", 40, demo),
        of_curriculum("environments", "reset", 4, demo),
        of_vector(
            "StickyActions",
            "pixels",
            200,
            lambda env, _: StickyActions(env),
            lambda factor: (8, (4, side(36, factor), side(36, factor))),
        ),
        *(
            of_vector(
                name, "pixels", 8, make, lambda factor: (8, (4, side(36, factor), side(36, factor)))
            )
            for name, make in (("RNDBonus", rnd), ("CNDBonus", cnd))
        ),
        of_vector(
            "YouTubeImitationReward",
            "pixels",
            8,
            lambda env, _: follow(env, CHECKPOINTS),
            lambda factor: (8, (side(64, factor), side(64, factor), 3)),
        ),
        of_vector(
            "YouTubeImitationReward",
            "demonstration",
            8,
            lambda env, factor: follow(env, CHECKPOINTS * factor),
            lambda _: (8, rgb),
        ),
        of_curriculum("demonstration", "step", 400, demo),
        of_curriculum("demonstration", "reset", 40, demo),
    ]
