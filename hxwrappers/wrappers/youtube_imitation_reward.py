"""Reward for following a video, for one environment, and the rendered frame in its infos."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.core import ActType, ObsType
from typing_extensions import Unpack

from hxwrappers.bridge.bonuses import bonus_info
from hxwrappers.bridge.environments import TrainingSwitch, require_env
from hxwrappers.bridge.imitation import (
    FRAME_KEY,
    Demonstration,
    ImitationMatching,
    ImitationSettings,
    PathOrEmbedder,
    steps_per_second,
)
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.wrappers._spec import SpecInJson


class YouTubeImitationReward(
    SpecInJson, ImitationMatching, gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs
):
    """Adds a reward for following a demonstration video, checkpoint by checkpoint.

    Aytar et al. 2018, "Playing hard exploration games by watching YouTube", arXiv 1805.11592,
    section 4. The video's frames and the agent's are embedded; every 16 frames of the video there
    is a checkpoint, and the agent earns 0.5 when what it sees is like the next one or the one after
    it (cosine above 0.5), once for each in an episode. The reward becomes
    `extrinsic_coefficient * reward + coefficient * imitation reward`.

    A stack of four frames is embedded, at the frame rate of the demonstration whatever the
    environment's own is: an Atari game at frame skip 4 steps 15 times a second, as often as a
    video decoded at 15 frames a second; other frame skips of Atari games are seen by themselves,
    and everything else is told by `steps_per_second`.

    `info["imitation_reward"]` (and `"intrinsic_reward"`) is 0.5 or 0, `"imitation_checkpoint"` the
    index of the last one reached (-1 for none) and `"imitation_share"` the share of all that this
    episode has reached. `"extrinsic_reward"` is the environment's own reward and `"reward_bonus"`
    what was added to it; with `extrinsic_coefficient=0` that is the imitation reward less the
    environment's. `hxw video reward` shows along a demonstration which checkpoints pay.

    For several environments use `hxwrappers.vector.YouTubeImitationReward` or
    `hxwrappers.sb3.VecYouTubeImitationReward`, which embed the frames of all in one batch.

    Args:
        env: The environment, made with `render_mode="rgb_array"`, or one that observes RGB frames
            (see `frames`).
        demonstration: A decoded clip, its checkpoints, or the path of either or of a video file.
        embedder: An embedder, or the path of one that `hxw video pretrain` wrote.
        **settings: See `hxwrappers.wrappers.ImitationSettings`.

    Raises:
        InvalidArgumentError: A setting is out of range, or the environment does not render.
        InvalidArgumentError: Observations shall be the frames and are no RGB pictures.
        VideoError: The demonstration is shorter than two checkpoints.
        VideoError: It is no video or clip.
        CheckpointError: The embedder's file is unreadable or of something else.

    Example:
        An agent that does what the demonstration shows, seen by an embedder that only averages:

        >>> import ale_py, torch
        >>> import numpy as np
        >>> from hxwrappers.video import DecodedClip
        >>> class Average:
        ...     frame_size, history, dimension = (140, 140), 1, 300
        ...     def embed(self, stacks):
        ...         parts = stacks[:, -1].float().reshape(-1, 10, 14, 10, 14, 3).mean((2, 4))
        ...         return torch.nn.functional.normalize(parts.reshape(-1, 300), dim=1)
        ...     def embed_clip(self, clip):
        ...         return self.embed(torch.tensor(clip.frames)[:, None]).numpy()
        >>> def play():
        ...     env = gym.make("ALE/Breakout-v5", render_mode="rgb_array")
        ...     env.reset(seed=0)
        ...     for step in range(60):
        ...         env.step(1 + step // 8 % 3)
        ...         yield env.render()
        >>> from hxwrappers.video.frames import resize_frames
        >>> frames = resize_frames(np.stack(list(play())), (140, 140))
        >>> clip = DecodedClip("breakout", frames, 15.0, np.zeros(0, np.float32), 16_000)
        >>> env = gym.make("ALE/Breakout-v5", render_mode="rgb_array")
        >>> env = YouTubeImitationReward(env, clip, Average(), extrinsic_coefficient=0.0)
        >>> _ = env.reset(seed=0)
        >>> sum(env.step(1 + step // 8 % 3)[1] for step in range(60))
        1.5
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        demonstration: Demonstration,
        embedder: PathOrEmbedder,
        **settings: Unpack[ImitationSettings],
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self,
            demonstration=demonstration,
            embedder=embedder,
            **settings,
        )
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        self._imitate(
            demonstration,
            embedder,
            env.observation_space,
            1,
            settings,
            can_render=True,
            steps_per_second=steps_per_second(env),
        )
        self._source.check_env(env)
        self.observation_space = self._space(env.observation_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, with all checkpoints still to be reached."""
        self._watch()
        observation, info = self.env.reset(seed=seed, options=options)
        frame = self._source.of_env(self.env, observation, info)
        self.imitation.begin(frame[None], with_progress=self._observe_progress)
        return self._observed(observation, self.imitation.progress[0]), info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step, and add the reward for a checkpoint that is reached."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        frame = self._source.of_env(self.env, observation, info)
        bonus = float(self.imitation.score(frame[None])[0])
        added = float(self._added(float(reward), bonus))
        info = {
            **info,
            **bonus_info(info, float(reward), bonus, added),
            "imitation_reward": bonus,
            "imitation_checkpoint": int(self.imitation.last[0]),
            "imitation_share": float(self.imitation.share[0]),
        }
        seen = self._observed(observation, self.imitation.progress[0])
        return seen, float(reward) + added, terminated, truncated, info


class FrameInInfo(
    TrainingSwitch,
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
):
    """Puts what the environment renders into `info["frame"]`, at every reset and step.

    A vector environment that resets by itself has no picture of an episode's last step any more
    when it returns; the infos keep it. Put this around each environment of the vector, for
    `hxwrappers.vector.YouTubeImitationReward` and `hxwrappers.sb3.VecYouTubeImitationReward`.

    Args:
        env: The environment, made with `render_mode="rgb_array"`.

    Raises:
        InvalidArgumentError: The environment renders in another mode, or not.

    Example:
        >>> import ale_py
        >>> env = FrameInInfo(gym.make("ALE/Pong-v5", render_mode="rgb_array"))
        >>> env.reset(seed=0)[1]["frame"].shape
        (210, 160, 3)
    """

    def __init__(self, env: gym.Env[ObsType, ActType]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        if env.render_mode != "rgb_array":
            raise InvalidArgumentError(
                f"The environment's render_mode is {env.render_mode!r}; make it with "
                'render_mode="rgb_array", so that there is a picture to put into the infos.'
            )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Reset the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, FRAME_KEY: self._frame()}

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, FRAME_KEY: self._frame()}

    def _frame(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.array(self.env.render(), np.uint8)
