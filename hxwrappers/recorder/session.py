"""A recording session: keys, clock, and the demonstration that is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hxwrappers.demos import Demo, DemoRecording
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder.keys import Controls, KeyMap
from hxwrappers.recorder.timeline import Mode, Pace, Status, Timeline, View

SPEEDS = (1.0, 0.5, 0.25)
_REWIND_FASTER = 2.0
_REWIND_DOUBLINGS = 3
_REPEAT_AFTER = 0.3
_SECONDS_OF_MESSAGE = 3.0


class PlaySession:
    """A game that is played by hand and recorded, one `advance` after the other.

    The game waits for the first key of its own, also after going back in time, so that a player
    is ready. Going back is looking: what came after is kept, and a key of the game plays on from
    there; see `Timeline`. The game is stepped at its own speed; one that waits for its
    player (`keys.idle` is None) is stepped by each press of a key, and by a key that stays held.

    Args:
        recording: What records; its environment renders `"rgb_array"`.
        keys: Which keys mean which action.
        out: The file to save to.
        steps_per_second: The game's own speed.
        controls: The keys that control the recording.
        sound: Whether to listen to the game, where it can be heard.

    Attributes:
        recording: What records.
        timeline: Where in the run the player is.
        finished: Whether the player has ended it.
        discarded: Whether the player wants nothing of it.

    Raises:
        InvalidArgumentError: The environment does not render, the speed is not positive, or the
            keys do not fit the actions or the controls.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers.demos import DemoRecording
        >>> from hxwrappers.recorder import find_keys
        >>> env = gym.make("MountainCar-v0", render_mode="rgb_array")
        >>> session = PlaySession(DemoRecording(env), find_keys(env), Path("car.npz"))
        >>> session.reset(seed=0)
        >>> for tick in range(30):
        ...     view = session.advance(["right"], [], now=tick / 60)
        >>> view.status.step, view.status.score, view.status.mode
        (30, -30.0, 'playing')
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
        sound: bool = False,
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
        self._pace = Pace()
        self._mode: Mode = "waiting"
        self._slower = 0
        self._rewinding_since = 0.0
        self._message, self._message_until = "", 0.0
        self.timeline = Timeline(recording, sound=sound)

    def reset(self, seed: int) -> None:
        """Begin a new recording.

        Args:
            seed: Seed of the reset, so that the demonstration can be replayed from it.
        """
        self.timeline.reset(seed)
        self._mode = "waiting"

    def resume(self, demo: Demo, step: int | None = None) -> None:
        """Go on from a demonstration.

        Args:
            demo: The demonstration.
            step: The step to go on from; see `DemoRecording.resume`.

        Raises:
            DemoError: The environment is of another kind than the demonstration's.
            InvalidArgumentError: The step is out of range.
        """
        self.timeline.resume(demo, step)
        self._mode = "waiting"

    def advance(self, held: Sequence[str], tapped: Sequence[str], now: float) -> View:
        """Do what is due.

        Args:
            held: The keys that are down now, in the order in which they were pressed.
            tapped: The keys that were pressed since the last call, held still or not.
            now: Seconds, by any clock that does not go back.

        Returns:
            What to show now.
        """
        self._move(held, tapped, now)
        return replace(self.view(now), sound=self.timeline.take_sound())

    def view(self, now: float) -> View:
        """What to show now."""
        message = self._message if now < self._message_until else self._hint()
        timeline = self.timeline
        at = timeline.position
        status = Status(
            self._mode,
            at,
            timeline.returns[at],
            timeline.lives[at],
            SPEEDS[self._slower],
            self._pace.measured(now) if self._mode == "playing" else 0.0,
            timeline.saved,
            message,
            timeline.length - at,
        )
        return View(timeline.frame, status)

    def seconds_to_next(self, now: float) -> float:
        """How long nothing is due unless a key is pressed; a tenth of a second at most."""
        moving = self._mode in ("playing", "rewinding")
        return min(0.1, self._pace.seconds_to_next(now)) if moving else 0.1

    def wait(self) -> None:
        """Have a game that goes on wait for the next of its keys."""
        if self._mode in ("playing", "rewinding"):
            self.rest()

    def toggle_pause(self) -> None:
        """Pause the game, or let it go on."""
        if self._mode == "playing":
            self._mode = "paused"
        elif self._mode == "paused":
            self._mode = "playing"
            self._pace.restart()

    def single_steps(self, held: Sequence[str], count: int = 1) -> None:
        """Take steps of a game that is paused or waits.

        Args:
            held: The keys that are down.
            count: How many steps.
        """
        if self._mode in ("paused", "waiting"):
            self._mode = "paused"
            for _ in range(count):
                self._step(self._keys.action(held))

    def set_speed(self, index: int) -> None:
        """Play at one of `SPEEDS`, by its index."""
        self._slower = index % len(SPEEDS)
        self._pace.restart()

    def go_to(self, step: int) -> None:
        """Go to a step of the run, as far as the timeline goes."""
        self.timeline.go_to(step)
        self.rest()

    def rest(self) -> None:
        """Stop until a key of the game is pressed."""
        self._mode = "ended" if self.timeline.ended else "waiting"

    def end(self, *, save: bool) -> None:
        """End the session.

        Args:
            save: Whether to save first; otherwise the player wants nothing of it.
        """
        if save:
            self.save()
        self.finished, self.discarded = True, not save

    def save(self) -> Path | None:
        """Save the run up to here, unless that is nothing or saved already.

        Returns:
            The file, or None where nothing was recorded.
        """
        if not self.timeline.position:
            return None
        self.timeline.settle()
        if not self.recording.saved:
            self.recording.demo().save(self._out)
            self.recording.saved = True
        return self._out

    def say(self, message: str, now: float) -> None:
        """Show a message for three seconds."""
        self._message, self._message_until = message, now + _SECONDS_OF_MESSAGE

    def _move(self, held: Sequence[str], tapped: Sequence[str], now: float) -> None:
        rewind = self._controls.rewind
        if rewind in held or rewind in tapped:
            self._rewind(tapped.count(rewind), now)
            return
        if self._mode == "rewinding":
            self.rest()
        # A key that was tapped between two calls is as good as held.
        down = [*held, *(key for key in tapped if key not in held)]
        if self._mode == "waiting" and self._keys.names & set(down):
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
        doublings = min(int(now - self._rewinding_since), _REWIND_DOUBLINGS)
        rate = self._rate * SPEEDS[self._slower] * _REWIND_FASTER * 2**doublings
        steps += self._pace.due(now, rate)
        if steps:
            self.timeline.go_to(max(0, self.timeline.position - steps))

    def _step(self, action: int | None) -> None:
        if action is not None:
            self.timeline.step(action)
            if self.timeline.ended:
                self._mode = "ended"

    def _hint(self) -> str:
        controls = self._controls
        hints: dict[Mode, str] = {
            "waiting": f"press a key of the game; {controls.help}: keys",
            "playing": f"{controls.rewind}: back in time  {controls.help}: keys",
            "paused": f"{controls.pause}: go on  {controls.single}: one step",
            "ended": f"the episode is over; {controls.rewind}: back  {controls.leave}: end",
        }
        return hints.get(self._mode, "")
