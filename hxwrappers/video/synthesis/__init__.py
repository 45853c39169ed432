"""Videos made from demonstrations, as a stranger might have uploaded them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hxwrappers._utils.modules import lazy_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hxwrappers.files.video_file": ["Part", "write_video"],
        "hxwrappers.video.synthesis.make": ["GameFrame", "Truth", "make_video"],
        "hxwrappers.video.synthesis.style": ["Style"],
    },
)
