"""Every public wrapper around one environment, as layers of a stack, and which orders there are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym

from hxwrappers import (
    CNDBonus,
    DemoRecorder,
    DemoResetCurriculum,
    FrameInInfo,
    RNDBonus,
    SkipReplayedSteps,
    StickyActions,
    YouTubeImitationReward,
)
from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.errors import (
    DemoError,
    HxWrappersError,
    InvalidArgumentError,
    UnrewardedDemoWarning,
)
from tests.contract.grounds import Coarse, Ground, box_key

NOVELTY: dict[str, Any] = {
    "features": 8,
    "hidden": 8,
    "warmup_steps": 3,
    "update_every": 8,
    "batch_size": 8,
    "device": "cpu",
}
IMITATION: dict[str, Any] = {"every": 2, "threshold": 0.0}
Layer = Callable[[Ground, gym.Env[Any, Any]], gym.Env[Any, Any]]


def _rnd(ground: Ground, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return RNDBonus(env, observation_key=box_key(env.observation_space), **NOVELTY)


def _cnd(ground: Ground, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    # Of the losses the one that looks at the observation before, which must be kept as well.
    key, loss = box_key(env.observation_space), "vicreg"
    return CNDBonus(env, observation_key=key, contrastive_loss=loss, pairs=4, **NOVELTY)


def _demo_reset(ground: Ground, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    with warnings.catch_warnings():
        # A few steps of random play, which earn something on some grounds only.
        warnings.simplefilter("ignore", UnrewardedDemoWarning)
        tracker = SuccessTracker(ground.demo, FrontierSettings(window=3), LocalStore())
    return DemoResetCurriculum(env, ground.demo, tracker, replay_steps=2)


def _imitation(
    ground: Ground, env: gym.Env[Any, Any], *, observe_progress: bool
) -> gym.Env[Any, Any]:
    frames = ground.frames or "render"
    if frames == "observation" and isinstance(env.observation_space, gym.spaces.Dict):
        frames = "observation:observation"
    settings = {**IMITATION, "frames": frames, "observe_progress": observe_progress}
    return YouTubeImitationReward(env, ground.clip, Coarse(), **settings)


LAYERS: dict[str, Layer] = {
    "CNDBonus": _cnd,
    "DemoRecorder": lambda _, env: DemoRecorder(env, snapshot_every=5),
    "DemoResetCurriculum": _demo_reset,
    "FrameInInfo": lambda _, env: FrameInInfo(env),
    "RNDBonus": _rnd,
    "SkipReplayedSteps": lambda _, env: SkipReplayedSteps(env),
    "StickyActions": lambda _, env: StickyActions(env, 0.5),
    "YouTubeImitationReward": partial(_imitation, observe_progress=False),
    "YouTubeImitationReward, progress": partial(_imitation, observe_progress=True),
}
"""How to put each wrapper on a stack, by its name, with a variant after a comma."""

FIVE = (
    "StickyActions",
    "RNDBonus",
    "CNDBonus",
    "DemoResetCurriculum",
    "YouTubeImitationReward",
)
SEE = {"FrameInInfo", "YouTubeImitationReward"}


def wrapper_name(layer: str) -> str:
    """The wrapper of a layer, whatever the variant."""
    return layer.partition(",")[0]


def build(ground: Ground, layers: Sequence[str], env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Put layers around an environment, the innermost first."""
    for layer in layers:
        env = LAYERS[layer](ground, env)
    return env


def can_stand_on(ground: Ground, layers: Sequence[str]) -> bool:
    """Whether the ground has what the layers need: pictures, for some."""
    sees = ground.frames == "render"
    blind = {"FrameInInfo"} if ground.frames == "observation" else SEE
    return sees or not blind & set(map(wrapper_name, layers))


def refusal(layers: Sequence[str]) -> type[HxWrappersError] | None:
    """The error that an order must be refused with, or None for one that works.

    A curriculum sits where its demonstration was recorded, here innermost; anything that shapes
    what happens below it is another level. Its episodes are nothing to record further out.
    """
    if "DemoResetCurriculum" in layers[1:]:
        return DemoError
    if "DemoResetCurriculum" in layers and "DemoRecorder" in layers:
        return InvalidArgumentError
    return None
