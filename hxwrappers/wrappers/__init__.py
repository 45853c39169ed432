"""The wrappers for one `gymnasium.Env`."""

from hxwrappers.bridge.imitation import ImitationSettings
from hxwrappers.wrappers.cnd_bonus import CNDBonus
from hxwrappers.wrappers.demo_recorder import DemoRecorder
from hxwrappers.wrappers.demo_reset_curriculum import DemoResetCurriculum
from hxwrappers.wrappers.frame_in_info import FrameInInfo
from hxwrappers.wrappers.rnd_bonus import RNDBonus
from hxwrappers.wrappers.skip_replayed_steps import SkipReplayedSteps
from hxwrappers.wrappers.sticky_actions import StickyActions
from hxwrappers.wrappers.youtube_imitation_reward import YouTubeImitationReward

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
