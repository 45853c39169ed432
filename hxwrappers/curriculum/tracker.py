"""The success tracker: one table for all workers, and the starts drawn from it."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import brief
from hxwrappers.curriculum.attempt import AttemptRules, AttemptSettings, latest_starting_point
from hxwrappers.curriculum.stores import FileStore, TrackerStore
from hxwrappers.curriculum.success_table import (
    FrontierSettings,
    Shortcut,
    StartingPoint,
    SuccessTable,
    draw_start,
)
from hxwrappers.demos import Demo
from hxwrappers.errors import (
    CheckpointError,
    DemoError,
    InvalidArgumentError,
    UnrewardedDemoWarning,
)

_HURRY = 0.05
Report = tuple[StartingPoint, bool, int | None]
"""Where an episode began, whether it succeeded, and after how many steps."""


class SuccessTracker:
    """Knows from where in its demonstrations the agent succeeds, for all workers together.

    Workers draw starting points from it and report how their episodes ended. It moves the
    frontier of each demonstration back as soon as enough of the episodes from the window before
    it succeed (Salimans & Chen 2018, arXiv 1812.03381); see `FrontierSettings`.

    A tracker may be pickled into worker processes, under spawn, forkserver and fork: all of them
    then share one table in a file, see `FileStore`. A worker that is killed, at whatever moment,
    loses at most its episode in flight and blocks nobody.

    Args:
        demos: The demonstrations: one or several, each an object or the path of a file. One that
            earns and costs nothing teaches nothing, since each episode reaches its return at
            once: an `UnrewardedDemoWarning` says so.
        settings: How the frontiers move; None takes those of the store where there are some, and
            the defaults of `FrontierSettings` otherwise.
        store: Where the table lives: the path of a file that all workers can reach, which a later
            run goes on with; or a store such as `LocalStore()`. None takes a temporary file.

    Attributes:
        demos: The demonstrations.
        latest: The last starting point of each: from there its return is still to be reached.
        settings: How the frontiers move.
        store: Where the table lives.

    Raises:
        DemoError: A demonstration is empty.
        DemoError: The store holds a table of other demonstrations or other settings.

    Example:
        >>> import numpy as np
        >>> from hxwrappers.demos import shipped
        >>> tracker = SuccessTracker(shipped("montezuma-first-key"))
        >>> generator = np.random.default_rng(0)
        >>> start = tracker.draw(generator)
        >>> tracker.report(start, success=True)
        >>> tracker.frontiers.tolist(), tracker.covered
        ([420], 0.0)
    """

    def __init__(
        self,
        demos: Demo | str | os.PathLike[str] | Sequence[Demo | str | os.PathLike[str]],
        settings: FrontierSettings | None = None,
        store: TrackerStore | str | os.PathLike[str] | None = None,
    ) -> None:
        self.demos = load_demos(demos)
        for number, demo in enumerate(self.demos):
            if not demo.rewards.any():
                warnings.warn(
                    f"Demonstration {number} earns and costs nothing in its {len(demo)} steps, so "
                    "every episode reaches its return at once and the frontier runs to the start "
                    "whatever the agent does. Record it where the task's reward is paid.",
                    UnrewardedDemoWarning,
                    stacklevel=2,
                )
        self.latest = tuple(latest_starting_point(demo.returns()) for demo in self.demos)
        self._digests = [_digest(demo) for demo in self.demos]
        self._courses: dict[AttemptSettings, tuple[AttemptRules, ...]] = {}
        self._held: list[Report] | None = None
        if store is None or isinstance(store, str | os.PathLike):
            store = FileStore(store)
        self.store: TrackerStore = store
        self.settings = store.attach(self.latest, self._digests, settings)

    def __getstate__(self) -> dict[str, Any]:
        # Courses are as large as the demonstrations, and soon made.
        return {**vars(self), "_courses": {}, "_held": None}

    def courses(self, settings: AttemptSettings) -> tuple[AttemptRules, ...]:
        """What each demonstration asks of an episode, the same for all workers of a process.

        Args:
            settings: When episodes succeed and end.
        """
        if settings not in self._courses:
            made = tuple(
                AttemptRules(demo.returns(), settings, bool(demo.terminations[-1]))
                for demo in self.demos
            )
            self._courses[settings] = made
        return self._courses[settings]

    def draw(self, generator: np.random.Generator, demo: int | None = None) -> StartingPoint:
        """Draw where an episode begins.

        With several demonstrations the one with the largest share still before its frontier is
        drawn most often; the share counts, not the number of steps. Then four of five starts, as
        published, are spread over the window before its frontier; the others lie anywhere between
        the frontier and the end.

        Args:
            generator: The worker's own generator.
            demo: In which demonstration; None draws it.
        """
        frontiers = self.frontiers
        if demo is None and len(self.demos) == 1:
            demo = 0
        if demo is None:
            # Finished demonstrations are drawn now and then, or they would be unlearned.
            weights = _HURRY + frontiers / np.maximum(self.latest, 1)
            demo = int(generator.choice(len(self.demos), p=weights / weights.sum()))
        step = draw_start(int(frontiers[demo]), self.latest[demo], self.settings, generator)
        return StartingPoint(demo, step)

    def starting_point(self, demo: Any, step: Any) -> StartingPoint:
        """The starting point that was asked for.

        Args:
            demo: Which demonstration.
            step: Which step of it.

        Raises:
            InvalidArgumentError: There is no such starting point.
        """
        latest = self.latest
        whole = all(isinstance(number, int | np.integer) for number in (demo, step))
        known = whole and 0 <= demo < len(latest)
        start = StartingPoint(int(demo), int(step)) if known else StartingPoint(0, -1)
        if 0 <= start.step <= latest[start.demo]:
            return start
        raise InvalidArgumentError(
            f"There is no starting point {step!r} in demonstration {demo!r}: there are "
            f"{len(latest)} demonstrations, with starting points from 0 to {latest}."
        )

    def report(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        """Count an episode.

        Args:
            start: Where it began.
            success: Whether it reached the demonstration's return.
            steps: How many steps that took from there, for `shortcut`.

        Raises:
            DemoError: There is no such starting point.
        """
        if not 0 <= start.demo < len(self.demos) or not 0 <= start.step <= self.latest[start.demo]:
            raise DemoError(
                f"{start} is no starting point: there are {len(self.demos)} demonstrations with "
                f"starting points up to {self.latest}."
            )
        if self._held is None:
            self.store.count(start, success=success, steps=steps)
        else:
            self._held.append((start, success, steps))

    def hold(self) -> None:
        """Keep reports back from now on, for one process that counts those of all in one order.

        Several workers that count whenever their episodes end do so in another order each time, so
        that no run can be repeated exactly. `BlockVecEnv` holds and counts by itself. Copies in
        other processes do not hold.
        """
        self._held = []

    def take_held(self) -> list[Report]:
        """The reports kept back since this was last asked.

        Example:
            >>> from hxwrappers.demos import shipped
            >>> tracker = SuccessTracker(shipped("montezuma-first-key"))
            >>> tracker.hold()
            >>> tracker.report(StartingPoint(0, 420), success=True)
            >>> tracker.episodes, len(tracker.take_held()), tracker.take_held()
            (0, 1, [])
        """
        held, self._held = self._held or [], []
        return held

    @property
    def frontiers(self) -> npt.NDArray[np.int64]:
        """The frontier of each demonstration: 0 is its start."""
        return self.store.look(lambda table: table.frontiers)

    @property
    def episodes(self) -> int:
        """How many episodes were counted."""
        return int(self.store.look(lambda table: table.episodes).sum())

    @property
    def success_rates(self) -> npt.NDArray[np.float64]:
        """For each demonstration, the success rate from its window of late; NaN if unknown."""
        count = len(self.demos)
        return self.store.look(
            lambda table: np.array([table.window_rate(demo) for demo in range(count)])
        )

    def rates(self, demo: int = 0) -> npt.NDArray[np.float64]:
        """The success rate of each starting point of a demonstration, NaN where unknown."""
        return self.store.look(lambda table: table.rates(demo))

    def shortcut(self, demo: int = 0) -> Shortcut:
        """The shortest way that an episode has found to a demonstration's return."""
        return self.store.look(lambda table: table.shortcut(demo))

    @property
    def covered(self) -> float:
        """The share of the demonstrations' steps that the frontiers have passed, from 0 to 1."""
        return float(1.0 - self.frontiers.sum() / max(sum(self.latest), 1))

    @property
    def finished(self) -> bool:
        """Whether the agent plays every demonstration from its very start.

        The frontier is at step 0, and of the episodes from there at least the share `threshold`
        succeeds.
        """

        def read(table: SuccessTable) -> bool:
            known = table.since_move >= self.settings.update_every
            rates = [table.window_rate(demo) for demo in range(len(self.demos))]
            good = np.array(rates) >= self.settings.threshold
            return bool(((table.frontiers == 0) & known & good).all())

        return self.store.look(read)

    def state_dict(self) -> dict[str, Any]:
        """The table and the settings, as numbers, strings and lists."""
        import torch  # noqa: PLC0415 - takes a second, which those without a checkpoint can spare

        words = self.store.look(lambda table: table.words.copy())
        return {
            "digests": list(self._digests),
            "settings": dict(vars(self.settings)),
            "words": torch.from_numpy(words.view(np.int64)),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the table of `state_dict` in the place of this one, for all workers.

        Raises:
            CheckpointError: The state is of other demonstrations, or incomplete.
        """
        import torch  # noqa: PLC0415 - takes a second, which those without a checkpoint can spare

        size = SuccessTable.size(self.latest)
        try:
            digests = list(state["digests"])
            words = (
                torch.as_tensor(state["words"], dtype=torch.int64).numpy().view(np.uint64).copy()
            )
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise CheckpointError(
                f"This is no state of a SuccessTracker ({brief(error)})."
            ) from error
        if digests != self._digests or words.shape != (size,):
            raise CheckpointError(
                "The state is of a tracker of other demonstrations. Give the tracker the same "
                "demonstrations in the same order."
            )
        loaded = SuccessTable(words, self.latest, self.settings)
        if not ((loaded.frontiers >= 0) & (loaded.frontiers <= self.latest)).all():
            raise CheckpointError("The state of the SuccessTracker is damaged.")
        self.store.replace(words)


def list_demos(demos: Any) -> list[Demo | str | os.PathLike[str]]:
    """One or several demonstrations, objects or paths, as a list.

    Raises:
        DemoError: It is something else.
    """
    given = [demos] if isinstance(demos, Demo | str | os.PathLike) else demos
    if isinstance(given, Iterable):
        listed = list(given)
        if all(isinstance(demo, Demo | str | os.PathLike) for demo in listed):
            return listed
        if all(isinstance(demo, int | float | np.generic | np.ndarray) for demo in listed):
            raise DemoError(
                f"The demonstration is {brief(demos, 40)}, which are actions. A demonstration has "
                "rewards and states to go back to as well: make one with "
                "hxwrappers.demos.record_actions(env, actions, seed), or record one with a "
                "hxwrappers.DemoRecorder around the environment."
            )
    raise DemoError(
        f"The demonstration is {brief(demos, 40)}; it must be a Demo, the path of a file, or "
        "several of them."
    )


def load_demos(
    demos: Demo | str | os.PathLike[str] | Sequence[Demo | str | os.PathLike[str]],
) -> tuple[Demo, ...]:
    """One or several demonstrations, objects or paths, as a tuple of objects.

    Raises:
        DemoError: There is none, or one has no step.
        DemoError: A file cannot be read.
    """
    given = list_demos(demos)
    loaded = tuple(demo if isinstance(demo, Demo) else Demo.load(demo) for demo in given)
    if not loaded or not all(len(demo) for demo in loaded):
        raise DemoError("A curriculum needs demonstrations of at least one step each.")
    return loaded


def _digest(demo: Demo) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(demo.actions).tobytes())
    digest.update(demo.rewards.tobytes())
    return digest.hexdigest()[:16]
