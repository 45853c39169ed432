"""The environments that stacks of wrappers stand on, with a demonstration and a video of each."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import hxwrappers.envs  # noqa: F401 - registers Procgen
from hxwrappers import FrameInInfo
from hxwrappers.demos import Demo, DemoRecording
from hxwrappers.demos.environment import import_plugin
from hxwrappers.testing.trajectory import Wrap, sample_actions
from hxwrappers.video import DecodedClip
from hxwrappers.video.frames import resize_frames
from tests.video import toys  # noqa: F401 - registers the walk

DEMO_STEPS = 8


class Coarse:
    """Sees a frame as four times four blocks of colour."""

    frame_size = (16, 16)
    history = 4
    dimension = 48

    def embed(self, stacks: torch.Tensor) -> torch.Tensor:
        blocks = stacks[:, -1].float().reshape(-1, 4, 4, 4, 4, 3).mean((2, 4))
        return torch.nn.functional.normalize(blocks.reshape(-1, 48) + 1, dim=1)

    def embed_clip(self, clip: DecodedClip) -> np.ndarray:
        frames = torch.tensor(np.array(clip.frames))
        return self.embed(frames[:, None].expand(-1, 4, -1, -1, -1)).numpy()


@dataclass(frozen=True)
class Ground:
    """An environment by name.

    Attributes:
        name: Its id, or a name of these tests.
        arguments: For `gym.make`.
        needs: Packages that must be installed.
        frames: Where its pictures come from; None where there are none on this machine.
        steps: How many steps show several episodes.
        seen: The part of a Dict that vector environments and Stable-Baselines3 can batch.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    frames: str | None = "render"
    steps: int = 30
    seen: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    def make(self) -> gym.Env[Any, Any]:
        """Make the environment, with short episodes."""
        for package in self.needs:
            pytest.importorskip(package)
        import_plugin(self.name)
        return gym.make(self.name, **self.arguments)

    def make_framed(self, core: Wrap = lambda env: env) -> gym.Env[Any, Any]:
        """The same as vectors need it: observations that go into a batch, pictures in the infos.

        Args:
            core: Put right around the environment.
        """
        env = core(self.make())
        env = gym.wrappers.FilterObservation(env, self.seen) if self.seen else env
        return FrameInInfo(env) if self.frames == "render" else env

    @property
    def demo(self) -> Demo:
        """Some steps of random play."""
        return _record(self)[0]

    @property
    def clip(self) -> DecodedClip:
        """What these steps look like."""
        frames = resize_frames(np.stack(_record(self)[1]), Coarse.frame_size)
        return DecodedClip(self.name, frames, 15.0, np.zeros(0, np.float32), 16_000)


@functools.cache
def _record(ground: Ground) -> tuple[Demo, list[np.ndarray]]:
    recording = DemoRecording(ground.make())
    observation, _ = recording.reset(seed=0)
    frames = []
    for action in sample_actions(recording.env.action_space, DEMO_STEPS, 0):
        observation, *_ = recording.step(action)
        if ground.frames is not None:
            seen = recording.env.render() if ground.frames == "render" else observation
            frames.append(np.array(seen))
    return recording.demo(), frames


def box_key(space: spaces.Space[Any]) -> str | None:
    """The first part of a Dict that is a Box, as what a bonus looks at."""
    if not isinstance(space, spaces.Dict):
        return None
    return next(name for name, part in space.spaces.items() if isinstance(part, spaces.Box))


def _pictures(limit: int, **arguments: Any) -> dict[str, Any]:
    return {"render_mode": "rgb_array", "max_episode_steps": limit, **arguments}


WALK = Ground("HxWalk-v0", _pictures(8), steps=20)
"""A toy, for what is tested every time."""
CARTPOLE = Ground("CartPole-v1", _pictures(14))
MINIGRID = Ground(
    "MiniGrid-DoorKey-5x5-v0", _pictures(12), needs=("minigrid",), seen=("image", "direction")
)
PROCGEN = Ground(
    "hxwrappers/Procgen-v0",
    {"game": "coinrun", "max_episode_steps": 12},
    needs=("procgen",),
    frames="observation",
)
MUJOCO = Ground(
    "Swimmer-v5", {"max_episode_steps": 12}, needs=("mujoco", "imageio"), frames=None, steps=40
)
ATARI = Ground(
    "ALE/Breakout-v5",
    _pictures(12, repeat_action_probability=0.0),
    needs=("ale_py",),
)
GROUNDS = (CARTPOLE, MINIGRID, PROCGEN, MUJOCO, ATARI)
