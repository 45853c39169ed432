"""Imitation matching: frames, embedder, checkpoints, settings and the reward of all shelves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from hxwrappers._utils.checks import brief
from hxwrappers.bridge.bonuses import Coefficient
from hxwrappers.bridge.environments import TrainingSwitch
from hxwrappers.bridge.statistics import CallerChecks
from hxwrappers.demos.environment import frames_per_step
from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.video import Checkpoints, Clip, DecodedClip, Embedder, ImitationReward
from hxwrappers.video.checkpoints import Centre, FrameEmbedder

FRAME_KEY = "frame"


ALE_FRAMES_PER_SECOND = 60.0


class FrameSource:
    """Where a wrapper gets the RGB frames from.

    Args:
        name: `"render"`, `"info"`, `"observation"`, or `"observation:KEY"` for a part of a Dict
            observation.
        space: The observation space of one environment.
        can_render: Whether `"render"` is possible here.

    Raises:
        InvalidArgumentError: There is no such source, or none such here.
        InvalidArgumentError: The observation is no RGB picture.
    """

    def __init__(self, name: str, space: spaces.Space[Any], *, can_render: bool) -> None:
        kind, _, key = name.partition(":")
        self.kind = kind
        self._key = key or None
        if kind not in ("render", "info", "observation") or (key and kind != "observation"):
            raise InvalidArgumentError(
                f'There are no frames from {name!r}; choose "render", "info", "observation" or '
                '"observation:KEY".'
            )
        if kind == "render" and not can_render:
            raise InvalidArgumentError(
                "A vector environment does not render the last step of an episode, which it has "
                "left when it returns. Put hxwrappers.wrappers.FrameInInfo around each of its "
                'environments and use frames="info", or observe RGB frames and use '
                'frames="observation".'
            )
        self._stacked = False
        if kind == "observation":
            parts: Any = space.spaces if isinstance(space, spaces.Dict) else {None: space}
            part = parts.get(self._key)
            shape = part.shape if isinstance(part, spaces.Box) else ()
            if part is None or part.dtype != np.uint8 or len(shape) not in (3, 4) or shape[-1] != 3:
                raise InvalidArgumentError(
                    f"There are no RGB frames under {name!r} in observations in {space}; uint8 of "
                    "shape (height, width, 3), or a stack of these with the newest last, was "
                    "expected. Grey frames do not do: observe colour (grayscale=False), or use "
                    'frames="render" or "info".'
                )
            self._stacked = len(shape) == 4

    def check_env(self, env: gym.Env[Any, Any]) -> None:
        """Refuse an environment that shall render and does not.

        Raises:
            InvalidArgumentError: It was made with another render mode.
        """
        if self.kind == "render" and env.render_mode != "rgb_array":
            raise InvalidArgumentError(
                f"The environment's render_mode is {env.render_mode!r}; make it with "
                'render_mode="rgb_array", or choose other frames than "render".'
            )

    def of_observation(self, observation: Any) -> npt.NDArray[np.uint8]:
        """The frame, or frames of a batch, in what was observed."""
        part = np.asarray(observation if self._key is None else observation[self._key])
        newest: npt.NDArray[np.uint8] = part[..., -1, :, :, :] if self._stacked else part
        return newest

    def of_info(self, info: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """The frame, or frames of a batch, in the infos.

        Raises:
            InvalidArgumentError: There is none.
        """
        if FRAME_KEY not in info:
            raise InvalidArgumentError(
                f'There is no info["{FRAME_KEY}"]. Put hxwrappers.wrappers.FrameInInfo around each '
                "environment inside the vector environment."
            )
        return np.asarray(info[FRAME_KEY])

    def of_env(
        self, env: gym.Env[Any, Any], observation: Any, info: Mapping[str, Any]
    ) -> npt.NDArray[np.uint8]:
        """The frame of one environment."""
        if self.kind == "render":
            return np.asarray(env.render())
        return self.of_info(info) if self.kind == "info" else self.of_observation(observation)


def steps_per_second(env: gym.Env[Any, Any]) -> float | None:
    """How many steps of an Atari game are a second of it, or None for anything else.

    The emulator's 60 frames a second over the frame skips of the emulator and of the wrappers.
    """
    base = env.unwrapped
    if not hasattr(base, "ale"):
        return None
    frames = frames_per_step(base)
    layer: Any = env
    while isinstance(layer, gym.Wrapper):
        if isinstance(layer, gym.wrappers.RepeatAction):
            frames *= layer.num_repeats
        else:
            frames *= getattr(layer, "frame_skip", getattr(layer, "_skip", 1))
        layer = layer.env
    return ALE_FRAMES_PER_SECOND / frames


def resolve_embedder(embedder: FrameEmbedder | str | os.PathLike[str]) -> FrameEmbedder:
    """The embedder to use: the one given, or the one in a file.

    Args:
        embedder: An embedder, or the path of one that `hxw video pretrain` wrote.

    Raises:
        CheckpointError: The file is unreadable, damaged, unsafe or of something else.
        VideoError: It is neither.
    """
    if not isinstance(embedder, str | os.PathLike):
        if not hasattr(embedder, "embed"):
            raise VideoError(
                f"The embedder is {brief(embedder)}; it must be an Embedder, or the path of one."
            )
        return embedder
    return Embedder.load(embedder)


def resolve_checkpoints(
    demonstration: Checkpoints | DecodedClip | str | os.PathLike[str],
    embedder: FrameEmbedder,
    *,
    every: int = 16,
    centre: Centre = "demonstration",
    frames_per_second: float = 15.0,
) -> Checkpoints:
    """The checkpoints of a demonstration, whatever form it has.

    Args:
        demonstration: Checkpoints, a decoded clip, or the path of either or of a video file, which
            is decoded (and kept in the cache).
        embedder: Embeds the frames.
        every: Frames between two checkpoints, for checkpoints that are not made yet.
        centre: See `Checkpoints.of`; likewise.
        frames_per_second: At which rate a video file is decoded.

    Raises:
        VideoError: The video, clip or demonstration is not what it should be.
        CheckpointError: A file of checkpoints is unreadable, or of something else.
        InvalidArgumentError: An argument is out of range.
    """
    if every < 1 or centre not in ("demonstration", "none"):
        raise InvalidArgumentError(
            f"every is {every} and centre {centre!r}; every must be 1 or more, and centre "
            "'demonstration' or 'none'."
        )
    if isinstance(demonstration, str | os.PathLike):
        path = Path(demonstration)
        if path.suffix == ".safetensors":
            demonstration = Checkpoints.load(path)
        elif path.is_dir():
            demonstration = DecodedClip.load(path)
        else:
            clip = Clip(path, frames_per_second=frames_per_second, size=embedder.frame_size)
            demonstration = clip.decode()
    if isinstance(demonstration, Checkpoints):
        return demonstration
    if not isinstance(demonstration, DecodedClip):
        raise VideoError(
            f"The demonstration is {brief(demonstration)}; it must be Checkpoints, a DecodedClip, "
            "or the path of either or of a video."
        )
    return Checkpoints.of(demonstration, embedder, every=every, centre=centre)


Demonstration = Checkpoints | DecodedClip | str | os.PathLike[str]
PathOrEmbedder = FrameEmbedder | str | os.PathLike[str]


class ImitationSettings(TypedDict, total=False):
    """Settings of an imitation reward.

    Attributes:
        coefficient: Factor of the 0.5 that each checkpoint is worth, 0 or more; 1 by default.
        extrinsic_coefficient: Factor of the environment's own reward, 0 or more; 1 by default, 0
            for imitation alone.
        frames: Where the RGB frames come from: `"render"`, `"info"` (see `FrameInInfo`),
            `"observation"`, or `"observation:KEY"` for a part of a Dict observation.
        observe_progress: Whether observations become a Dict of `"observation"` and `"progress"`,
            the distances to the next two checkpoints, as the agent of the paper sees them:
            `1 - cosine`, `float32`, `(2,)`, 0 where no checkpoint is left.
        threshold: A cosine above this reaches a checkpoint; 0.5 by default.
        tolerance: How many checkpoints may be passed over at once; 1 by default.
        every: Frames of the demonstration between two checkpoints; 16 by default.
        centre: What embeddings are centred around: `"demonstration"` (its mean, the default) or
            `"none"`.
        frames_per_second: Rate at which a video file is decoded; 15 by default.
        steps_per_second: How many steps of the environment are a second of the game. By default
            that of the emulator and its frame skips for Atari games, and as many as the
            demonstration has frames for everything else, vector environments included.
    """

    coefficient: float
    extrinsic_coefficient: float
    frames: str
    observe_progress: bool
    threshold: float
    tolerance: int
    every: int
    centre: Centre
    frames_per_second: float
    steps_per_second: float | None


class ImitationMatching(CallerChecks, TrainingSwitch):
    """Set-up, observation and persistence of an imitation reward."""

    imitation: ImitationReward
    coefficient = Coefficient()
    """Factor of what checkpoints are worth; can be changed at any time."""
    extrinsic_coefficient = Coefficient()
    """Factor of the environment's own reward; can be changed at any time."""

    def _imitate(
        self,
        demonstration: Demonstration,
        embedder: PathOrEmbedder,
        space: spaces.Space[Any],
        num_envs: int,
        settings: ImitationSettings,
        *,
        can_render: bool,
        steps_per_second: float | None = None,
    ) -> None:
        """Set everything up, for any kind of environment."""
        unknown = set(settings) - set(ImitationSettings.__annotations__)
        if unknown:
            raise InvalidArgumentError(
                f"There is no setting {', '.join(sorted(unknown))}; there are "
                f"{', '.join(ImitationSettings.__annotations__)}."
            )
        self.coefficient = settings.get("coefficient", 1.0)
        self.extrinsic_coefficient = settings.get("extrinsic_coefficient", 1.0)
        source = settings.get("frames", "render" if can_render else "info")
        self._source = FrameSource(source, space, can_render=can_render)
        self._observe_progress = settings.get("observe_progress", False)
        found = resolve_embedder(embedder)
        rate = settings.get("steps_per_second")
        self.imitation = ImitationReward(
            resolve_checkpoints(
                demonstration,
                found,
                every=settings.get("every", 16),
                centre=settings.get("centre", "demonstration"),
                frames_per_second=settings.get("frames_per_second", 15.0),
            ),
            found,
            num_envs,
            threshold=settings.get("threshold", 0.5),
            tolerance=settings.get("tolerance", 1),
            steps_per_second=steps_per_second if rate is None else rate,
        )

    def _space(self, space: spaces.Space[Any]) -> spaces.Space[Any]:
        """The observation space of one environment."""
        if not self._observe_progress:
            return space
        progress = spaces.Box(0, 2, (2,), np.float32)
        return spaces.Dict({"observation": space, "progress": progress})

    def _observed(self, observation: Any, progress: npt.NDArray[np.float32]) -> Any:
        """What is observed, of one environment or of a batch."""
        if not self._observe_progress:
            return observation
        return {"observation": observation, "progress": progress.copy()}

    def _added(self, rewards: Any, bonuses: Any) -> Any:
        """What is added to the reward of the environment, which may be meant to vanish."""
        return self.coefficient * bonuses + (self.extrinsic_coefficient - 1) * rewards

    def state_dict(self) -> dict[str, Any]:
        """Which checkpoints each environment has reached in its episode, and its last frames."""
        return {"imitation": self.imitation.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            CheckpointError: The state is of another demonstration, embedder or number of
                environments.
        """
        self.imitation.load_state_dict(state.get("imitation", {}))
