"""The recorder: play by hand, go back in time, and save demonstrations; extra `studio`.

What keys do to the game, and going back in time, is `hxwrappers.recorder.PlaySession`. Here is
what a browser adds: who controls (`room`), what may be said (`messages`), who may come in
(`access`), the game in a thread of its own (`stage`), and the server.
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
