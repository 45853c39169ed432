"""The wrappers for `gymnasium.vector.VectorEnv`, `ale_py.AtariVectorEnv` included."""

from hxwrappers.vector.demo_reset_curriculum import DemoResetCurriculum
from hxwrappers.vector.novelty_bonus import CNDBonus, RNDBonus
from hxwrappers.vector.sticky_actions import StickyActions
from hxwrappers.vector.youtube_imitation_reward import YouTubeImitationReward

__all__ = [
    "CNDBonus",
    "DemoResetCurriculum",
    "RNDBonus",
    "StickyActions",
    "YouTubeImitationReward",
]
