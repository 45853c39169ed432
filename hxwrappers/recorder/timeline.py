"""The player's position in a run: picture, lives, sound, pace, branches."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hxwrappers.demos import Demo, DemoPlayer, DemoRecording
from hxwrappers.demos.film import SoundEmulator
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.snapshots import AleSnapshotter

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


class Timeline:
    """The run that a recording holds, as its player sees it; what was played is kept.

    One can look at any step and play on from there. Looking changes nothing. The first step taken
    at an earlier position leaves the run as a `Take` and goes on with a copy of its beginning. The
    last 50 takes are kept.

    Args:
        recording: What records; its environment renders `"rgb_array"`.
        sound: Whether to listen to the game, where it can be heard.

    Attributes:
        recording: What records.
        returns: The return so far at every step of the run, from 0.
        lives: The lives left at every step, None where nothing tells.
        frame: The picture to show now, `(height, width, 3)`, `uint8`.
        takes: The runs that were left, oldest first.
        number: The number of the run that is being played.

    Example:
        >>> import gymnasium as gym
        >>> env = gym.make("CliffWalking-v1", render_mode="rgb_array")
        >>> timeline = Timeline(DemoRecording(env))
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
        self.recording = recording
        self.returns: list[float] = [0.0]
        self.lives: list[int | None] = [None]
        self.frame = self._first_frame = np.zeros((1, 1, 3), np.uint8)
        can_be_heard = sound and AleSnapshotter.supports(recording.env)
        self._sound_emulator = SoundEmulator(recording.env) if can_be_heard else None
        self.takes: list[Take] = []
        self.number = self._numbers = 1
        self._position: int | None = None
        self._player: DemoPlayer | None = None

    @property
    def audible(self) -> bool:
        """Whether the game can be heard."""
        return self._sound_emulator is not None

    @property
    def length(self) -> int:
        """Steps of the run."""
        return len(self.recording)

    @property
    def position(self) -> int:
        """The step that the player is at."""
        return self.length if self._position is None else self._position

    @property
    def ended(self) -> bool:
        """Whether the player is at the episode's end."""
        return self.recording.ended and self.position == self.length

    @property
    def saved(self) -> bool:
        """Whether the run up to the position is saved."""
        return self.recording.saved and self.position == self.length

    def reset(self, seed: int) -> None:
        """Begin a run; see `DemoRecording.reset`."""
        _, info = self.recording.reset(seed=seed)
        self._begin(info)

    def resume(self, demo: Demo, step: int | None = None) -> None:
        """Go on from a demonstration; see `DemoRecording.resume`."""
        self._resume(demo, step)
        if self.lives[0] is not None:
            replay = self.recording.player().replay(0, self.length)
            self.lives[1:] = [transition.info.get("lives") for transition in replay]
            self._jumped()

    def step(self, action: Any) -> None:
        """Take a step, unless the episode is over; at an earlier step, branch there."""
        if self.ended:
            return
        self.settle()
        self._listen(True)
        _, _, _, _, info = self.recording.step(action)
        self._listen(False)
        self.returns.append(self.recording.score)
        self.lives.append(info.get("lives"))
        self._show()

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
        self._position = self._player = None
        if at is not None and at < self.length:
            self._leave(Take(self.number, self.recording.fork(at), lives, at))
            del self.returns[self.length + 1 :], self.lives[self.length + 1 :]
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
        self._position = self._player = None
        self.takes = [take for take in self.takes if take is not chosen]
        if self.length:
            left = Take(self.number, self.recording.demo(), tuple(self.lives), self.length)
            self.takes.append(left)
        self.number, demo = number, chosen.demo
        self._resume(demo)
        self.lives = list(chosen.lives[: self.length + 1])
        if demo.ended:
            # A run that goes on stops before the end, which is only a step away.
            self.step(int(demo.actions[-1]))

    def take_sound(self) -> npt.NDArray[np.uint8] | None:
        """What was heard since this was last asked: mono samples, or None for nothing."""
        return None if self._sound_emulator is None else self._sound_emulator.take()

    def _resume(self, demo: Demo, step: int | None = None) -> None:
        """Go on from a demonstration, whose lives are not known."""
        self._position = self._player = None
        options = copy.deepcopy(demo.metadata.options)  # environments pop from theirs
        _, info = self.recording.env.reset(seed=demo.metadata.seed, options=options)
        self._begin(info)
        self.recording.resume(demo, step)
        self.returns = demo.returns()[: self.length + 1].tolist()
        self.lives += [None] * self.length
        self._jumped()

    def _leave(self, take: Take) -> None:
        self.takes = [*self.takes, take][-_MOST_TAKES:]
        self._numbers += 1
        self.number = self._numbers

    def _begin(self, info: dict[str, Any]) -> None:
        self._first_frame = self._rendered()
        self.returns, self.lives = [0.0], [info.get("lives")]
        self._jumped()

    def _listen(self, whether: bool) -> None:
        if self._sound_emulator is not None:
            self._sound_emulator.is_listening = whether

    def _jumped(self) -> None:
        if self._sound_emulator is not None:
            self._sound_emulator.resync()
        self._show()

    def _show(self) -> None:
        # A restored emulator shows its former screen until its next step.
        self.frame = self._rendered() if self.position else self._first_frame

    def _rendered(self) -> npt.NDArray[np.uint8]:
        return np.array(self.recording.env.render(), np.uint8)


_MAX_BEHIND = 0.1
_MEASURED_OVER = 1.0
# A clock that was read a hair too early must not cost a step.
_EARLY = 1e-6


class Pace:
    """Steps at a steady rate.

    Steps are due at exact intervals from the first one, so that delays do not add up. Whoever
    falls behind by more than a tenth of a second does not catch up: the game must not run away.

    Example:
        >>> pace = Pace()
        >>> [pace.due(now, 60.0) for now in (10.0, 10.01, 10.02, 10.03, 10.05, 11.0)]
        [1, 0, 1, 0, 2, 6]
    """

    def __init__(self) -> None:
        self._next: float | None = None
        self._taken: deque[float] = deque()

    def restart(self, at: float | None = None) -> None:
        """Begin anew.

        Args:
            at: When the first step is due; at once where None.
        """
        self._next = at
        self._taken.clear()

    def due(self, now: float, rate: float) -> int:
        """How many steps are to be taken now; they count as taken.

        Args:
            now: Seconds, by any clock that does not go back.
            rate: Steps per second.
        """
        if self._next is None:
            self._next = now
        if now + _EARLY < self._next:
            return 0
        behind = now + _EARLY - self._next
        most = max(1, round(_MAX_BEHIND * rate))
        count = 1 + int(behind * rate)
        self._next += count / rate
        if count > most:
            count, self._next = most, now + 1 / rate
        self._taken.extend([now] * count)
        return count

    def seconds_to_next(self, now: float) -> float:
        """Seconds until a step is due; 0 where one is."""
        return 0.0 if self._next is None else max(0.0, self._next - now)

    def measured(self, now: float) -> float:
        """Steps per second over the last second; 0 while there are too few to tell."""
        while self._taken and self._taken[0] < now - _MEASURED_OVER:
            self._taken.popleft()
        if len(self._taken) < 2 or self._taken[-1] == self._taken[0]:
            return 0.0
        first = sum(1 for at in self._taken if at == self._taken[0])
        return (len(self._taken) - first) / (self._taken[-1] - self._taken[0])


Mode = Literal["waiting", "playing", "paused", "rewinding", "ended"]


@dataclass(frozen=True)
class Status:
    """Where a recording is.

    Attributes:
        mode: `"waiting"` for the first key, `"playing"`, `"paused"`, `"rewinding"`, or
            `"ended"` (the episode).
        step: Steps of the run up to here.
        score: Their return.
        lives: The lives left, or None where the environment has none.
        speed: 1 for the game's own, less for slow motion.
        measured: Steps per second that were really taken in the last second; 0 where none were.
        saved: Whether all that was recorded is saved.
        message: What happened last, or what can be done; may be empty.
        ahead: Steps of the run that lie ahead, where the player looks at an earlier one.
    """

    mode: Mode
    step: int
    score: float
    lives: int | None
    speed: float
    measured: float
    saved: bool
    message: str
    ahead: int = 0


@dataclass(frozen=True)
class View:
    """What to show.

    Attributes:
        frame: The picture, `(height, width, 3)`, `uint8`.
        status: Where the recording is.
        sound: What was heard since the last view, mono samples at 30,720 a second, `uint8`, or
            None for nothing.
    """

    frame: npt.NDArray[np.uint8]
    status: Status
    sound: npt.NDArray[np.uint8] | None = None
