"""Reward for following a video, for vector environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from typing_extensions import Unpack

from hxwrappers.bridge.bonuses import add_info_entries
from hxwrappers.bridge.environments import (
    AnyVectorWrapper,
    autoreset_mode,
    real_next_observations,
    require_full_batches,
    reset_lanes,
)
from hxwrappers.bridge.imitation import (
    Demonstration,
    ImitationMatching,
    ImitationSettings,
    PathOrEmbedder,
)
from hxwrappers.errors import CheckpointError


class YouTubeImitationReward(ImitationMatching, AnyVectorWrapper):
    """`hxwrappers.YouTubeImitationReward` for a vector environment: one forward pass for all.

    Equal to single wrappers in all three autoreset modes: the dummy step of NEXT_STEP earns
    nothing, and the final frame of an episode counts instead of the one after the reset.

    The frames are RGB and come from `info["frame"]` (put `hxwrappers.FrameInInfo` around each
    environment of the vector) or from the observations. `ale_py`'s `AtariVectorEnv` does neither by
    default: it observes grey frames of 84 x 84. Made with `grayscale=False, img_height=210,
    img_width=160` it works with `frames="observation"`.

    Args:
        env: The vector environment.
        demonstration: As in `hxwrappers.YouTubeImitationReward`.
        embedder: Likewise.
        **settings: Likewise; `frames` is `"info"` by default, and cannot be `"render"`. The frame
            rate of the environments is taken to be that of the demonstration unless
            `steps_per_second` says otherwise.

    Raises:
        InvalidArgumentError: The environment does not say how it resets.
        InvalidArgumentError: A setting is out of range.
        InvalidArgumentError: Observations shall be the frames and are no RGB pictures.
        VideoError: The demonstration is not what it should be.
        CheckpointError: The embedder's file is unreadable or of something else.

    Example:
        >>> import ale_py, torch
        >>> import gymnasium as gym
        >>> from hxwrappers.video import Checkpoints
        >>> class Red:
        ...     frame_size, history, dimension = (10, 10), 1, 2
        ...     def embed(self, stacks):
        ...         return torch.ones(len(stacks), 2)
        >>> track = Checkpoints(torch.ones(3, 2) / 2**0.5, torch.zeros(2), torch.arange(3), 15.0)
        >>> envs = gym.make_vec(
        ...     "ALE/Pong-v5", num_envs=2, grayscale=False, img_height=210, img_width=160
        ... )
        >>> envs = YouTubeImitationReward(envs, track, Red(), frames="observation")
        >>> _ = envs.reset(seed=0)
        >>> envs.step(np.zeros(2, np.int64))[4]["imitation_share"].round(2).tolist()
        [0.33, 0.33]
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        demonstration: Demonstration,
        embedder: PathOrEmbedder,
        **settings: Unpack[ImitationSettings],
    ) -> None:
        super().__init__(env)
        self._mode = autoreset_mode(env)
        require_full_batches(env)
        self._imitate(
            demonstration,
            embedder,
            env.single_observation_space,
            env.num_envs,
            settings,
            can_render=False,
        )
        self.single_observation_space = self._space(env.single_observation_space)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._resetting = np.zeros(env.num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes, with all checkpoints still to be reached."""
        self._watch()
        lanes = reset_lanes(self.env, options)
        observations, infos = self.env.reset(seed=cast(Any, seed), options=options)
        self._begin(self._frames(observations, infos), lanes)
        self._resetting[lanes] = False
        return self._observed(observations, self.imitation.progress), infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step, and add the rewards for checkpoints that are reached."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        over = np.logical_or(terminations, truncations)
        frames = self._frames(observations, infos)
        beginning = self._resetting.copy()
        real = ~beginning
        reached = frames
        if self._mode is AutoresetMode.SAME_STEP and over.any():
            reached = self._with_finals(frames, over, infos)
            beginning = over
        bonuses = np.zeros(self.num_envs)
        bonuses[real] = self.imitation.score(reached[real], np.flatnonzero(real))
        progress = self.imitation.progress.copy()
        extrinsic = np.asarray(rewards, np.float64)
        added = np.where(real, self._added(extrinsic, bonuses), 0.0)
        entries = {
            "extrinsic_reward": extrinsic,
            "intrinsic_reward": bonuses,
            "reward_bonus": added,
            "imitation_reward": bonuses.copy(),
            "imitation_checkpoint": self.imitation.last,
            "imitation_share": self.imitation.share,
        }
        infos = add_info_entries(infos, entries, real)
        if self._observe_progress and infos.get("final_obs") is not None:
            infos["final_obs"] = self._final_observations(infos["final_obs"], over, progress)
        self._begin(frames, beginning)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._resetting = over
        seen = self._observed(observations, self.imitation.progress)
        return seen, extrinsic + added, terminations, truncations, infos

    def state_dict(self) -> dict[str, Any]:
        """Which checkpoints each environment has reached in its episode, and its last frames."""
        return {**super().state_dict(), "resetting": self._resetting.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            CheckpointError: The state is of another demonstration, embedder or number of
                environments.
        """
        resetting = state.get("resetting", ())
        if len(resetting) != self.num_envs:
            raise CheckpointError(
                f"This is not a state of {self.num_envs} environments. Pass what state_dict() "
                "returned for as many."
            )
        super().load_state_dict(state)
        self._resetting = np.array(resetting, np.bool_)

    def _frames(self, observations: Any, infos: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        if self._source.kind == "info":
            return self._source.of_info(infos)
        return self._source.of_observation(observations)

    def _with_finals(
        self, frames: npt.NDArray[np.uint8], over: npt.NDArray[np.bool_], infos: dict[str, Any]
    ) -> npt.NDArray[np.uint8]:
        """The frames, with the final one in place of the one after the reset."""
        if self._source.kind == "info":
            reached = frames.copy()
            reached[over] = self._source.of_info(infos.get("final_info", {}))[over]
            return reached
        return real_next_observations(frames, over, infos, self._source.of_observation)

    def _final_observations(
        self, finals: Any, over: npt.NDArray[np.bool_], progress: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        changed = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(over):
            changed[lane] = self._observed(finals[lane], progress[lane])
        return changed

    def _begin(self, frames: npt.NDArray[np.uint8], beginning: npt.NDArray[np.bool_]) -> None:
        if beginning.any():
            self.imitation.begin(
                frames[beginning], np.flatnonzero(beginning), with_progress=self._observe_progress
            )
