"""The number of frames that an environment stacks in its observations."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from hxwrappers.novelty import ObservationLayout


def newest_channels(
    env: Any, space: spaces.Space[Any], channel_axis: int | None = None
) -> int | None:
    """How many channels of an image are its newest frame, where the environment tells.

    Args:
        env: An environment of any kind; its layers are asked for a frame stack.
        space: The part of its observation space that is looked at.
        channel_axis: Axis of the channels, where it was given.

    Returns:
        The number, or None where the space is no image or no layer stacks frames.
    """
    number = _stacked_frames(env)
    if number is None or not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return None
    layout = ObservationLayout.of(space, channel_axis=channel_axis)
    if layout.channel_axis is None or not layout.is_image:
        return None
    newest, rest = divmod(space.shape[layout.channel_axis], number)
    return None if rest else newest


def _stacked_frames(env: Any) -> int | None:
    layer = env
    while hasattr(layer, "observation_space"):
        if type(layer).__name__ == "AtariVectorEnv":
            return int(layer.single_observation_space.shape[0])  # it keeps no number
        # Gymnasium's FrameStackObservation, the Procgen environment, Stable-Baselines3's stack.
        parts = vars(layer)
        stack = parts.get("stacked_obs")
        for found in (
            parts.get("stack_size"),
            parts.get("frame_stack"),
            getattr(stack, "n_stack", None),
        ):
            if isinstance(found, int):
                return found
        environments = parts.get("envs") or ()
        layer = parts.get("env", parts.get("venv", next(iter(environments), None)))
    return None
