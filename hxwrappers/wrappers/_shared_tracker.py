"""The tracker of a curriculum: the one that it is given, or one that all of a process share."""

from __future__ import annotations

import multiprocessing
import os
import warnings
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.curriculum.tracker import list_demos
from hxwrappers.demos import Demo
from hxwrappers.errors import InvalidArgumentError, SharedTrackerWarning

_OWNER = "DemoResetCurriculum"
DemoLike = Demo | str | os.PathLike[str]
_trackers: weakref.WeakValueDictionary[tuple[object, ...], SuccessTracker] = (
    weakref.WeakValueDictionary()
)


def find_tracker(
    demos: DemoLike | Sequence[DemoLike],
    tracker: SuccessTracker | str | os.PathLike[str] | None,
    frontier: Mapping[str, Any],
) -> SuccessTracker:
    """The tracker of a curriculum.

    Args:
        demos: Its demonstrations.
        tracker: The tracker that it was given, or the path of its file; None takes the one that
            the curricula of this process over these demonstrations share.
        frontier: Fields of `FrontierSettings` for one that is made here.

    Raises:
        InvalidArgumentError: There are settings beside a tracker, or of unknown names.
    """
    if isinstance(tracker, SuccessTracker):
        if frontier:
            raise InvalidArgumentError(
                f"A tracker was given, and so were {sorted(frontier)}: give these to the tracker, "
                "as SuccessTracker(demo, FrontierSettings(...))."
            )
        return tracker
    try:
        settings = FrontierSettings(**frontier) if frontier else None
    except TypeError as error:
        raise InvalidArgumentError(f"{_OWNER}: {error}") from error
    if tracker is not None:
        return SuccessTracker(demos, settings, tracker)
    if multiprocessing.parent_process() is not None:
        warnings.warn(
            f"{_OWNER} was made in a worker process without a tracker, so this worker moves a "
            "frontier of its own. Share one: tracker=SuccessTracker(demo), made in the main "
            'process, or tracker="path/of/a/file".',
            SharedTrackerWarning,
            stacklevel=3,
        )
    key = (settings, *map(_identity, list_demos(demos)))
    shared = _trackers.get(key)
    if shared is None:
        shared = _trackers[key] = SuccessTracker(demos, settings, LocalStore())
    return shared


def _identity(demo: DemoLike) -> object:
    """What tells a demonstration from others: for a file, also one recorded anew under its name."""
    if isinstance(demo, Demo):
        return id(demo)
    path = Path(demo).resolve()
    try:
        stat = path.stat()
    except OSError:
        return path  # loading it says what is wrong
    return path, stat.st_mtime_ns, stat.st_size, stat.st_ino
