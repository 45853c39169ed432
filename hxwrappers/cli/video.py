"""Make videos of games, decode them, and see what an agent would be rewarded for."""

from __future__ import annotations

from hxwrappers.cli import video_clips, video_embedding, video_reward

__all__ = ["COMMANDS"]

COMMANDS = {
    **video_clips.COMMANDS,
    **video_embedding.COMMANDS,
    "reward": video_reward.reward,
}
