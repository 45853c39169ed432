"""The wrappers for one `gymnasium.Env`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hxwrappers._utils.modules import lazy_names

if TYPE_CHECKING:
    from hxwrappers.bridge.imitation import ImitationSettings
    from hxwrappers.wrappers.demo_recorder import DemoRecorder
    from hxwrappers.wrappers.demo_reset_curriculum import DemoResetCurriculum
    from hxwrappers.wrappers.novelty_bonus import CNDBonus, RNDBonus
    from hxwrappers.wrappers.skip_replayed_steps import SkipReplayedSteps
    from hxwrappers.wrappers.sticky_actions import StickyActions
    from hxwrappers.wrappers.youtube_imitation_reward import FrameInInfo, YouTubeImitationReward

__all__ = [
    "CNDBonus",
    "DemoRecorder",
    "DemoResetCurriculum",
    "FrameInInfo",
    "ImitationSettings",
    "RNDBonus",
    "SkipReplayedSteps",
    "StickyActions",
    "YouTubeImitationReward",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hxwrappers.bridge.imitation": ["ImitationSettings"],
        "hxwrappers.wrappers.demo_recorder": ["DemoRecorder"],
        "hxwrappers.wrappers.demo_reset_curriculum": ["DemoResetCurriculum"],
        "hxwrappers.wrappers.novelty_bonus": ["CNDBonus", "RNDBonus"],
        "hxwrappers.wrappers.skip_replayed_steps": ["SkipReplayedSteps"],
        "hxwrappers.wrappers.sticky_actions": ["StickyActions"],
        "hxwrappers.wrappers.youtube_imitation_reward": ["FrameInInfo", "YouTubeImitationReward"],
    },
)
