"""The player's position in a run: picture, lives, sound, pace, going back in time."""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hxwrappers.demos import Demo, DemoRecording
from hxwrappers.demos.film import SoundEmulator
from hxwrappers.snapshots import AleSnapshotter


class Timeline:
    """The run that a recording holds, as its player sees it. Going back forgets what came after.

    Args:
        recording: What records; its environment renders `"rgb_array"`.
        sound: Whether to listen to the game, where it can be heard.

    Attributes:
        recording: What records.
        returns: The return so far at every step of the run, from 0.
        lives: The lives left at every step, None where nothing tells.
        frame: The picture to show now, `(height, width, 3)`, `uint8`.
    """

    def __init__(self, recording: DemoRecording, *, sound: bool = False) -> None:
        self.recording = recording
        self.returns: list[float] = [0.0]
        self.lives: list[int | None] = [None]
        self.frame = self._first_frame = np.zeros((1, 1, 3), np.uint8)
        can_be_heard = sound and AleSnapshotter.supports(recording.env)
        self._sound_emulator = SoundEmulator(recording.env) if can_be_heard else None

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
        return self.length

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
        options = copy.deepcopy(demo.metadata.options)  # environments pop from theirs
        _, info = self.recording.env.reset(seed=demo.metadata.seed, options=options)
        self._begin(info)
        self.recording.resume(demo, step)
        self.returns = demo.returns()[: self.length + 1].tolist()
        self.lives += [None] * self.length
        self._jumped()

    def step(self, action: Any) -> None:
        """Take a step, unless the episode is over."""
        if self.ended:
            return
        self._listen(True)
        _, _, _, _, info = self.recording.step(action)
        self._listen(False)
        self.returns.append(self.recording.score)
        self.lives.append(info.get("lives"))
        self._show()

    def go_to(self, step: int) -> None:
        """Go to an earlier step."""
        steps = self.length - step
        if steps > 0:
            self.recording.rewind(steps)
            self._forget()
            self._jumped()

    def settle(self) -> None:
        """Make the position the end of the run."""

    def take_sound(self) -> npt.NDArray[np.uint8] | None:
        """What was heard since this was last asked: mono samples, or None for nothing."""
        return None if self._sound_emulator is None else self._sound_emulator.take()

    def _begin(self, info: dict[str, Any]) -> None:
        self._first_frame = self._rendered()
        self.returns, self.lives = [0.0], [info.get("lives")]
        self._jumped()

    def _forget(self) -> None:
        del self.returns[self.length + 1 :], self.lives[self.length + 1 :]

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

    def line(self) -> str:
        """The status in one line.

        Example:
            >>> Status("playing", 120, 100.0, 5, 0.5, 29.97, False, "").line()
            'step 120  return 100  lives 5  playing  speed 1/2  30.0/s'
        """
        parts = [f"step {self.step}", f"return {self.score:g}"]
        parts += [] if self.lives is None else [f"lives {self.lives}"]
        parts += [self.mode] if self.speed == 1 else [self.mode, f"speed 1/{1 / self.speed:g}"]
        parts += [f"{self.measured:.1f}/s"] if self.measured else []
        return "  ".join([*parts, *(["saved"] if self.saved else [])])


@dataclass(frozen=True)
class View:
    """What to show.

    Attributes:
        frame: The picture, `(height, width, 3)`, `uint8`.
        status: The status line.
        sound: What was heard since the last view, mono samples at 30,720 a second, `uint8`, or
            None for nothing.
    """

    frame: npt.NDArray[np.uint8]
    status: Status
    sound: npt.NDArray[np.uint8] | None = None
