"""The tracker of a curriculum: a given one or one that all of a process share; its state."""

from __future__ import annotations

import multiprocessing
import os
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hxwrappers.curriculum import FrontierSettings, LocalStore, StartingPoint, SuccessTracker
from hxwrappers.curriculum.attempt import Attempt, AttemptRules
from hxwrappers.curriculum.tracker import list_demos
from hxwrappers.demos import Demo
from hxwrappers.errors import InvalidArgumentError, SharedTrackerWarning
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.files.generators import generator_from_state

_OWNER = "DemoResetCurriculum"
DemoLike = Demo | str | os.PathLike[str]
_trackers: weakref.WeakValueDictionary[tuple[object, ...], SuccessTracker] = (
    weakref.WeakValueDictionary()
)


class TrackerHolder:
    """What the forms of a curriculum share: tracker, generator of the draws, and attempts."""

    tracker: SuccessTracker
    _generator: np.random.Generator
    _courses: tuple[AttemptRules, ...]

    def _in_flight(self) -> Iterable[Attempt | None]:
        """The attempts of the episodes in flight."""
        raise NotImplementedError

    def _count(self, start: StartingPoint, attempt: Attempt) -> None:
        """Count an attempt that is over in the table, if it began from this table."""
        if attempt.counts:
            self.tracker.report(start, success=attempt.succeeded, steps=attempt.steps_to_success)

    def _begin_attempt(self, start: StartingPoint) -> Attempt:
        """An attempt from a starting point, with the time that the best one so far needed."""
        shortcut = self.tracker.shortcut(start.demo)
        saved = shortcut.saved if start.step <= shortcut.start else 0
        return Attempt(self._courses[start.demo], start.step, self._generator, saved)

    def state_dict(self) -> dict[str, Any]:
        """The generator and the tracker's table; episodes in flight are not part of it."""
        return {
            "generator": self._generator.bit_generator.state,
            "tracker": self.tracker.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned, with the next reset.

        Episodes in flight are never counted, since the table that they began from is gone.

        Raises:
            CheckpointError: The state is of other demonstrations, or incomplete.
        """
        with checkpoint_errors(f"This is no state of a {_OWNER}"):
            generator, table = generator_from_state(state["generator"]), state["tracker"]
        self.tracker.load_state_dict(table)
        self._generator = generator
        for attempt in self._in_flight():
            if attempt is not None:
                attempt.counts = False


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
