"""Videos: clips with sound, embeddings, alignment, the reward for following one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hxwrappers._utils.modules import lazy_names

if TYPE_CHECKING:
    from hxwrappers.video.alignment import embed_clips, measure_alignment
    from hxwrappers.video.checkpoints import Checkpoints
    from hxwrappers.video.clip import Clip, load_clips, resized
    from hxwrappers.video.decoded import DecodedClip
    from hxwrappers.video.embedder import Embedder
    from hxwrappers.video.pretraining import Pretraining
    from hxwrappers.video.reward import ImitationReward, RewardReplay, replay_reward
    from hxwrappers.video.settings import PretrainingSettings, preset

__all__ = [
    "Checkpoints",
    "Clip",
    "DecodedClip",
    "Embedder",
    "ImitationReward",
    "Pretraining",
    "PretrainingSettings",
    "RewardReplay",
    "embed_clips",
    "load_clips",
    "measure_alignment",
    "preset",
    "replay_reward",
    "resized",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hxwrappers.video.alignment": ["embed_clips", "measure_alignment"],
        "hxwrappers.video.checkpoints": ["Checkpoints"],
        "hxwrappers.video.clip": ["Clip", "load_clips", "resized"],
        "hxwrappers.video.decoded": ["DecodedClip"],
        "hxwrappers.video.embedder": ["Embedder"],
        "hxwrappers.video.pretraining": ["Pretraining"],
        "hxwrappers.video.reward": ["ImitationReward", "RewardReplay", "replay_reward"],
        "hxwrappers.video.settings": ["PretrainingSettings", "preset"],
    },
)
