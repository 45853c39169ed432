"""Recording a demonstration by hand: what keys do to the game, the clock and the recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos.demo import Demo
from hxwrappers.demos.play.controls import Controls
from hxwrappers.demos.play.keys import KeyMap
from hxwrappers.demos.play.known_keys import action_meanings
from hxwrappers.demos.play.pace import Pace
from hxwrappers.demos.play.view import Mode, Status, View
from hxwrappers.demos.recording import DemoRecording
from hxwrappers.errors import InvalidArgumentError

__all__ = ["PlaySession"]

SPEEDS = (1.0, 0.5, 0.25)
_REWIND_FASTER = 2.0
_REWIND_FASTEST = 16.0
_REPEAT_AFTER = 0.3
_SECONDS_OF_MESSAGE = 3.0


class PlaySession:
    """A game that is played by hand and recorded, one `advance` after the other.

    The game waits for the first key of its own, also after going back in time, so that a player
    is ready. It is stepped at its own speed; one that waits for its player (`keys.idle` is None) is
    stepped by each press of a key, and by a key that stays held.

    Args:
        recording: What records; its environment renders `"rgb_array"`.
        keys: Which keys mean which action.
        out: The file to save to.
        steps_per_second: The game's own speed.
        controls: The keys that control the recording.

    Attributes:
        recording: What records.
        finished: Whether the player has ended it.
        discarded: Whether the player wants nothing of it.

    Raises:
        InvalidArgumentError: The environment does not render, the speed is not positive, or the
            keys do not fit the actions or the controls.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers.demos import DemoRecording
        >>> from hxwrappers.demos.play import find_keys
        >>> env = gym.make("MountainCar-v0", render_mode="rgb_array")
        >>> session = PlaySession(DemoRecording(env), find_keys(env), Path("car.npz"))
        >>> session.reset(seed=0)
        >>> for tick in range(30):
        ...     view = session.advance(["right"], [], now=tick / 60)
        >>> view.status.line()
        'step 30  return -30  playing  60.0/s'
        >>> for tick in range(30, 60):
        ...     view = session.advance(["backspace"], [], now=tick / 60)
        >>> view.status.mode, view.status.step
        ('rewinding', 0)
    """

    def __init__(
        self,
        recording: DemoRecording,
        keys: KeyMap,
        out: Path,
        *,
        steps_per_second: float = 60.0,
        controls: Controls | None = None,
    ) -> None:
        self.recording = recording
        self.finished = self.discarded = False
        self._keys = keys
        self._controls = Controls() if controls is None else controls
        self._out = out
        self._rate = steps_per_second
        if recording.env.render_mode != "rgb_array" or not steps_per_second > 0:
            raise InvalidArgumentError(
                f"The environment's render_mode is {recording.env.render_mode!r} and the speed "
                f'{steps_per_second} steps a second; make it with render_mode="rgb_array", and '
                "give a positive speed."
            )
        keys.check(recording.env.action_space, self._controls.names)
        self._help_lines = (
            *keys.lines(action_meanings(recording.env)),
            *self._controls.lines(),
        )
        self._pace = Pace()
        self._mode: Mode = "waiting"
        self._leaving = self._help = False
        self._slower = 0
        self._rewinding_since = 0.0
        self._lives: list[int | None] = []
        self._message, self._message_until = "", 0.0
        self._first_frame = self._frame = np.zeros((1, 1, 3), np.uint8)

    def reset(self, seed: int) -> None:
        """Begin a new recording.

        Args:
            seed: Seed of the reset, so that the demonstration can be replayed from it.
        """
        _, info = self.recording.reset(seed=seed)
        self._begin(info)

    def resume(self, demo: Demo, step: int | None = None) -> None:
        """Go on from a demonstration.

        Args:
            demo: The demonstration.
            step: The step to go on from; see `DemoRecording.resume`.

        Raises:
            DemoMismatchError: The environment is of another kind than the demonstration's.
            InvalidArgumentError: The step is out of range.
        """
        _, info = self.recording.env.reset(seed=demo.metadata.seed, options=demo.metadata.options)
        self._begin(info)
        self.recording.resume(demo, step)
        self._lives = [None] * (len(self.recording) + 1)
        self._show()

    def _begin(self, info: dict[str, Any]) -> None:
        self._first_frame = self._rendered()
        self._lives = [info.get("lives")]
        self._mode = "waiting"
        self._show()

    def advance(self, held: Sequence[str], tapped: Sequence[str], now: float) -> View:
        """Do what is due.

        Args:
            held: The keys that are down now, in the order in which they were pressed.
            tapped: The keys that were pressed since the last call, held still or not.
            now: Seconds, by any clock that does not go back.

        Returns:
            What to show now.
        """
        for key in tapped:
            if self._leaving:
                self._answer(key)
            else:
                self._control(key, now)
        if not self._leaving:
            self._move(held, tapped, now)
        return self.view(now)

    def view(self, now: float) -> View:
        """What to show now."""
        is_news = now < self._message_until and not self._leaving
        message = self._message if is_news else self._hint()
        recording = self.recording
        status = Status(
            "leaving" if self._leaving else self._mode,
            len(recording),
            recording.score,
            self._lives[-1],
            SPEEDS[self._slower],
            self._pace.measured(now) if self._mode == "playing" else 0.0,
            recording.saved,
            message,
        )
        return View(self._frame, status, self._help_lines if self._help else ())

    def seconds_to_next(self, now: float) -> float:
        """How long nothing is due unless a key is pressed; a tenth of a second at most."""
        moving = self._mode in ("playing", "rewinding")
        return min(0.1, self._pace.seconds_to_next(now)) if moving else 0.1

    def pause(self) -> None:
        """Pause the game, as when its window is left."""
        if self._mode == "playing":
            self._mode = "paused"

    def save(self) -> Path | None:
        """Save all that was recorded, unless that is nothing or saved already.

        Returns:
            The file, or None where nothing was recorded.
        """
        if not len(self.recording):
            return None
        if not self.recording.saved:
            self.recording.demo().save(self._out)
            self.recording.saved = True
        return self._out

    def _control(self, key: str, now: float) -> None:
        controls = self._controls
        if key == controls.pause:
            self._toggle_pause()
        elif key == controls.slower:
            self._slower = (self._slower + 1) % len(SPEEDS)
            self._pace.restart()
        elif key == controls.save:
            path = self.save()
            self._say("nothing to save yet" if path is None else f"saved {path.name}", now)
        elif key == controls.help:
            self._help = not self._help
        elif key == controls.leave:
            self._leaving = True
            self.finished = self.recording.saved or not len(self.recording)

    def _answer(self, key: str) -> None:
        if key in ("y", "return"):
            self.save()
        if key in ("y", "return", "n"):
            self.finished, self.discarded = True, key == "n"
        elif key == self._controls.leave:
            self._leaving = False
            self.pause()

    def _move(self, held: Sequence[str], tapped: Sequence[str], now: float) -> None:
        controls = self._controls
        if controls.rewind in held or controls.rewind in tapped:
            self._rewind(tapped.count(controls.rewind), now)
            return
        if self._mode == "rewinding":
            self._mode = "waiting"
        # A key that was tapped between two calls is as good as held.
        down = [*held, *(key for key in tapped if key not in held)]
        if controls.single in tapped and self._mode in ("paused", "waiting"):
            self._mode = "paused"
            for _ in range(tapped.count(controls.single)):
                self._step(self._keys.action(down))
        elif self._mode == "waiting" and self._keys.names & set(down):
            self._mode = "playing"
            self._pace.restart()
        if self._mode == "playing":
            if self._keys.idle is None:
                self._play_by_turns(held, tapped, now)
            else:
                for _ in range(self._pace.due(now, self._rate * SPEEDS[self._slower])):
                    self._step(self._keys.action(down))

    def _play_by_turns(self, held: Sequence[str], tapped: Sequence[str], now: float) -> None:
        for key in tapped:
            if key in self._keys.names:
                before = [other for other in held if other != key]
                self._step(self._keys.action([*before, key]))
                self._pace.restart(now + _REPEAT_AFTER)
        action = self._keys.action(held)
        if action is not None:
            for _ in range(self._pace.due(now, self._rate * SPEEDS[self._slower])):
                self._step(action)

    def _rewind(self, taps: int, now: float) -> None:
        steps = 0
        if taps or self._mode != "rewinding":
            # Each press of a game at rest is one step; held it goes on.
            at_rest = self._mode != "playing"
            self._mode, self._rewinding_since = "rewinding", now
            self._pace.restart(now + _REPEAT_AFTER if at_rest else now)
            steps = taps if at_rest else 0
        faster = _REWIND_FASTER * 2 ** int(now - self._rewinding_since)
        rate = self._rate * SPEEDS[self._slower] * min(faster, _REWIND_FASTEST)
        steps = min(steps + self._pace.due(now, rate), len(self.recording))
        if steps:
            self.recording.rewind(steps)
            del self._lives[len(self.recording) + 1 :]
            self._show()

    def _step(self, action: int | None) -> None:
        if action is None or self.recording.ended:
            return
        _, _, terminated, truncated, info = self.recording.step(action)
        self._lives.append(info.get("lives"))
        if terminated or truncated:
            self._mode = "ended"
        self._show()

    def _toggle_pause(self) -> None:
        if self._mode == "playing":
            self._mode = "paused"
        elif self._mode == "paused":
            self._mode = "playing"
            self._pace.restart()

    def _show(self) -> None:
        # A restored emulator shows its former screen until its next step.
        self._frame = self._rendered() if len(self.recording) else self._first_frame

    def _rendered(self) -> npt.NDArray[np.uint8]:
        return np.array(self.recording.env.render(), np.uint8)

    def _say(self, message: str, now: float) -> None:
        self._message, self._message_until = message, now + _SECONDS_OF_MESSAGE

    def _hint(self) -> str:
        controls = self._controls
        if self._leaving:
            return f"save? y: yes  n: no  {controls.leave}: go on"
        hints: dict[Mode, str] = {
            "waiting": f"press a key of the game; {controls.help}: keys",
            "playing": f"{controls.rewind}: back in time  {controls.help}: keys",
            "paused": f"{controls.pause}: go on  {controls.single}: one step",
            "ended": f"the episode is over; {controls.rewind}: back  {controls.leave}: end",
        }
        return hints.get(self._mode, "")
