"""What a video shows: clips with their sound, and how far an agent has followed one."""

from hxwrappers.video.clip import Clip
from hxwrappers.video.decoded import DecodedClip

__all__ = ["Clip", "DecodedClip"]
