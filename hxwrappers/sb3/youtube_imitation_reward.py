"""Reward for following a video, for Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from typing_extensions import Unpack

from hxwrappers.bridge.bonuses import bonus_info
from hxwrappers.bridge.imitation import (
    Demonstration,
    ImitationMatching,
    ImitationSettings,
    PathOrEmbedder,
)
from hxwrappers.sb3.layers import RewardWrapper, hide_training, with_terminal


class VecYouTubeImitationReward(ImitationMatching, RewardWrapper):
    """`hxwrappers.YouTubeImitationReward` for a Stable-Baselines3 vector environment.

    The frames of all environments are embedded in one forward pass. They are RGB and come from
    `info["frame"]` (put `hxwrappers.FrameInInfo` around each environment, for example as the
    `wrapper_class` of `make_vec_env`) or from the observations. With `observe_progress=True` use a
    policy for Dict observations (`"MultiInputPolicy"`). `ImitationLog` logs `imitation/...`.

    Keep `Monitor` or `VecMonitor` inside, so that episode returns stay extrinsic, and
    `VecNormalize(norm_reward=True)` away: it would rescale both rewards together.

    Args:
        venv: The vector environment.
        demonstration: As in `hxwrappers.YouTubeImitationReward`.
        embedder: Likewise.
        **settings: Likewise; `frames` is `"info"` by default, and cannot be `"render"`. The frame
            rate of the environments is taken to be that of the demonstration unless
            `steps_per_second` says otherwise.

    Raises:
        InvalidArgumentError: A setting is out of range, or `venv` is no `VecEnv`.
        InvalidArgumentError: Observations shall be the frames and are no RGB pictures.
        VideoError: The demonstration is not what it should be.
        CheckpointError: The embedder's file is unreadable or of something else.

    Example:
        >>> import ale_py, torch
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers import FrameInInfo
        >>> from hxwrappers.video import Checkpoints
        >>> class Red:
        ...     frame_size, history, dimension = (10, 10), 1, 2
        ...     def embed(self, stacks):
        ...         return torch.ones(len(stacks), 2)
        >>> track = Checkpoints(torch.ones(3, 2) / 2**0.5, torch.zeros(2), torch.arange(3), 15.0)
        >>> kwargs = {"render_mode": "rgb_array"}
        >>> venv = make_vec_env("ALE/Pong-v5", 2, wrapper_class=FrameInInfo, env_kwargs=kwargs)
        >>> venv = VecYouTubeImitationReward(venv, track, Red())
        >>> _ = venv.reset()
        >>> [info["imitation_checkpoint"] for info in venv.step(np.zeros(2, int))[3]]
        [0, 0]
    """

    def __init__(
        self,
        venv: VecEnv,
        demonstration: Demonstration,
        embedder: PathOrEmbedder,
        **settings: Unpack[ImitationSettings],
    ) -> None:
        super().__init__(venv)
        hide_training(self)
        self._made_with = demonstration, embedder, settings
        self._imitate(
            demonstration,
            embedder,
            venv.observation_space,
            venv.num_envs,
            settings,
            can_render=False,
        )
        self.observation_space = self._space(venv.observation_space)

    def reset(self) -> VecEnvObs:
        """Begin episodes, with all checkpoints still to be reached."""
        self._watch()
        observations = self.venv.reset()
        self._begin(observations, np.ones(self.num_envs, np.bool_))
        seen: VecEnvObs = self._observed(observations, self.imitation.progress)
        return seen

    def step_wait(self) -> VecEnvStepReturn:
        """Step, and add the rewards for checkpoints that are reached."""
        observations, rewards, dones, infos = self.venv.step_wait()
        bonuses = self.imitation.score(self._reached(observations, dones, infos))
        added = self._added(rewards.astype(np.float64), bonuses)
        last, share = self.imitation.last.tolist(), self.imitation.share.tolist()
        infos = [
            {
                **info,
                **bonus_info(info, float(rewards[lane]), float(bonuses[lane]), float(added[lane])),
                "imitation_reward": float(bonuses[lane]),
                "imitation_checkpoint": last[lane],
                "imitation_share": share[lane],
            }
            for lane, info in enumerate(infos)
        ]
        for lane in np.flatnonzero(dones):
            final = infos[lane]["terminal_observation"]
            infos[lane]["terminal_observation"] = self._observed(
                final, self.imitation.progress[lane]
            )
        self._begin(observations, np.asarray(dones, np.bool_))
        seen: VecEnvObs = self._observed(observations, self.imitation.progress)
        return seen, self._summed(rewards, added), dones, infos

    def unpaid(self, venv: VecEnv) -> VecYouTubeImitationReward:
        """A second one like this around another environment, which leaves rewards as they are."""
        demonstration, embedder, settings = self._made_with
        free = ImitationSettings(**settings)
        free["coefficient"], free["extrinsic_coefficient"] = 0.0, 1.0
        return VecYouTubeImitationReward(venv, demonstration, embedder, **free)

    def _reached(
        self, observations: VecEnvObs, dones: np.ndarray, infos: Sequence[Mapping[str, Any]]
    ) -> npt.NDArray[np.uint8]:
        """The frames that the steps led to, those of the ends of episodes included."""
        if self._source.kind == "info":
            return np.stack([self._source.of_info(info) for info in infos])
        read = self._source.of_observation
        return with_terminal(read(observations), dones, infos, read)

    def _begin(self, observations: VecEnvObs, beginning: npt.NDArray[np.bool_]) -> None:
        lanes = np.flatnonzero(beginning)
        if not len(lanes):
            return
        if self._source.kind == "info":
            first = self.venv.unwrapped.reset_infos
            frames = np.stack([self._source.of_info(first[lane]) for lane in lanes.tolist()])
        else:
            frames = self._source.of_observation(observations)[lanes]
        self.imitation.begin(frames, lanes, with_progress=self._observe_progress)
