"""The recorder: play by hand, go back in time, and save demonstrations; extra `studio`.

`PlaySession` is what keys do to the game, and going back in time. A browser adds: messages and who
controls (`control`), the game in a thread of its own (`stage`), access and the page (`server`).
"""

from hxwrappers.recorder.keys import Controls, KeyMap, find_keys, parse_bindings
from hxwrappers.recorder.session import PlaySession

__all__ = [
    "Controls",
    "KeyMap",
    "PlaySession",
    "find_keys",
    "parse_bindings",
]
