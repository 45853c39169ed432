"""Playing by hand while recording: keys and a clock in, frames and a status line out.

Nothing here knows a window or a browser; these show the `View`s of a `PlaySession` and tell it
which keys are held.
"""

from hxwrappers.demos.play.branches import BranchingTimeline, Take, distinct_runs
from hxwrappers.demos.play.controls import Controls
from hxwrappers.demos.play.keys import KeyMap, parse_bindings
from hxwrappers.demos.play.known_keys import action_meanings, find_keys
from hxwrappers.demos.play.pace import Pace
from hxwrappers.demos.play.session import SPEEDS, PlaySession
from hxwrappers.demos.play.timeline import Timeline
from hxwrappers.demos.play.view import Status, View

__all__ = [
    "SPEEDS",
    "BranchingTimeline",
    "Controls",
    "KeyMap",
    "Pace",
    "PlaySession",
    "Status",
    "Take",
    "Timeline",
    "View",
    "action_meanings",
    "distinct_runs",
    "find_keys",
    "parse_bindings",
]
