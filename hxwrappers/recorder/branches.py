"""Branches of a recording: going back in time keeps what was played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hxwrappers.demos import Demo, DemoPlayer, DemoRecording
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder.timeline import Timeline

_MOST_TAKES = 50


def distinct_runs(demos: Sequence[Demo]) -> list[Demo]:
    """Runs without those that another one, or a later equal one, begins with.

    Args:
        demos: The runs, for example of a journal.
    """
    return [
        demo
        for at, demo in enumerate(demos)
        if not any(
            len(other) > len(demo) or (len(other) == len(demo) and later > at)
            for later, other in enumerate(demos)
            if later != at and np.array_equal(other.actions[: len(demo)], demo.actions)
        )
    ]


@dataclass(frozen=True)
class Take:
    """A run that was left for another one.

    Attributes:
        number: Its number, from 1.
        demo: The run.
        lives: The lives left at every step, None where nothing tells.
        left_at: The step from which another run went on.
    """

    number: int
    demo: Demo
    lives: Sequence[int | None]
    left_at: int


class BranchingTimeline(Timeline):
    """A timeline on which one can look at any step and play on from there; what was is kept.

    Looking changes nothing. The first step taken at an earlier position leaves the run as a `Take`
    and goes on with a copy of its beginning. The last 50 takes are kept.

    Args:
        recording: What records; its environment renders `"rgb_array"`.
        sound: Whether to listen to the game, where it can be heard.

    Attributes:
        takes: The runs that were left, oldest first.
        number: The number of the run that is being played.

    Example:
        >>> import gymnasium as gym
        >>> env = gym.make("CliffWalking-v1", render_mode="rgb_array")
        >>> timeline = BranchingTimeline(DemoRecording(env))
        >>> timeline.reset(seed=0)
        >>> for action in (0, 1, 1, 1):
        ...     timeline.step(action)
        >>> timeline.go_to(1)
        >>> timeline.position, timeline.length
        (1, 4)
        >>> timeline.step(0)
        >>> timeline.position, timeline.length, len(timeline.takes[0].demo)
        (2, 2, 4)
    """

    def __init__(self, recording: DemoRecording, *, sound: bool = False) -> None:
        super().__init__(recording, sound=sound)
        self.takes: list[Take] = []
        self.number = 1
        self._numbers = 1
        self._position: int | None = None
        self._player: DemoPlayer | None = None

    @property
    def position(self) -> int:
        """The step that the player is at."""
        return self.length if self._position is None else self._position

    def resume(self, demo: Demo, step: int | None = None) -> None:
        """Go on from a demonstration; see `DemoRecording.resume`."""
        self._look_at(None)
        super().resume(demo, step)
        if self.lives[0] is not None:
            replay = self.recording.player().replay(0, self.length)
            self.lives[1:] = [transition.info.get("lives") for transition in replay]
            self._jumped()

    def step(self, action: Any) -> None:
        """Take a step, unless the episode is over; at an earlier step, branch there."""
        if not self.ended:
            self.settle()
            super().step(action)

    def go_to(self, step: int) -> None:
        """Look at a step of the run."""
        step = min(max(step, 0), self.length)
        if step == self.position:
            return
        if self._player is None:
            self._player = self.recording.player()
        self._player.restore(step)
        self._position = step
        self._jumped()

    def settle(self) -> None:
        """Make the position the end of the run, and what lies ahead a take."""
        at, lives = self._position, tuple(self.lives)
        self._look_at(None)
        if at is not None and at < self.length:
            self._leave(Take(self.number, self.recording.fork(at), lives, at))
            self._forget()
            self._jumped()

    def add(self, demo: Demo) -> None:
        """Add a run that was left earlier, before this one began."""
        self._leave(Take(self.number, demo, [None] * (len(demo) + 1), len(demo)))

    def switch(self, number: int) -> None:
        """Go on with a run that was left, from its end; the present one is left for it.

        Args:
            number: The number of the take.

        Raises:
            InvalidArgumentError: There is none of that number.
        """
        chosen = next((take for take in self.takes if take.number == number), None)
        if chosen is None:
            raise InvalidArgumentError(f"There is no take {number} any more.")
        self._look_at(None)
        self.takes = [take for take in self.takes if take is not chosen]
        if self.length:
            left = Take(self.number, self.recording.demo(), tuple(self.lives), self.length)
            self.takes.append(left)
        self.number, demo = number, chosen.demo
        super().resume(demo)
        self.lives = list(chosen.lives[: self.length + 1])
        if demo.ended:
            # A run that goes on stops before the end, which is only a step away.
            super().step(int(demo.actions[-1]))

    def _leave(self, take: Take) -> None:
        self.takes = [*self.takes, take][-_MOST_TAKES:]
        self._numbers += 1
        self.number = self._numbers

    def _look_at(self, step: int | None) -> None:
        self._position, self._player = step, None
