"""Videos made from demonstrations, as a stranger might have uploaded them."""

from hxwrappers.files.video_file import Part, write_video
from hxwrappers.video.synthesis.make import GameFrame, Truth, make_video
from hxwrappers.video.synthesis.style import Style

__all__ = [
    "GameFrame",
    "Part",
    "Style",
    "Truth",
    "make_video",
    "write_video",
]
