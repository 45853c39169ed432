"""Where a player is in a run: the picture, the lives, the sound, and going back in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos.ale_frames import SILENCE, tap_frames
from hxwrappers.demos.demo import Demo
from hxwrappers.demos.recording import DemoRecording
from hxwrappers.demos.snapshots.ale import AleSnapshotter

__all__ = ["Timeline"]


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
        audible: Whether the game can be heard.
    """

    def __init__(self, recording: DemoRecording, *, sound: bool = False) -> None:
        self.recording = recording
        self.returns: list[float] = [0.0]
        self.lives: list[int | None] = [None]
        self.frame = self._first_frame = np.zeros((1, 1, 3), np.uint8)
        self.audible = sound and AleSnapshotter.supports(recording.env)
        self._listening = False
        self._heard: list[npt.NDArray[np.uint8]] = []
        if self.audible:
            tap_frames(recording.env, self._hear)

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
        _, info = self.recording.env.reset(seed=demo.metadata.seed, options=demo.metadata.options)
        self._begin(info)
        self.recording.resume(demo, step)
        self.returns = demo.returns()[: self.length + 1].tolist()
        self.lives += [None] * self.length
        self._show()

    def step(self, action: Any) -> None:
        """Take a step, unless the episode is over."""
        if self.ended:
            return
        self._listening = True
        _, _, _, _, info = self.recording.step(action)
        self._listening = False
        self.returns.append(self.recording.score)
        self.lives.append(info.get("lives"))
        self._show()

    def go_to(self, step: int) -> None:
        """Go to an earlier step."""
        steps = self.length - step
        if steps > 0:
            self.recording.rewind(steps)
            self._forget()
            self._show()

    def settle(self) -> None:
        """Make the position the end of the run."""

    def take_sound(self) -> npt.NDArray[np.uint8] | None:
        """What was heard since this was last asked: mono samples, or None for nothing."""
        heard, self._heard = self._heard, []
        return np.concatenate(heard) if heard else None

    def _begin(self, info: dict[str, Any]) -> None:
        self._first_frame = self._rendered()
        self.returns, self.lives = [0.0], [info.get("lives")]
        self._show()

    def _forget(self) -> None:
        del self.returns[self.length + 1 :], self.lives[self.length + 1 :]

    def _hear(self, ale: Any) -> None:
        if self._listening:
            samples: npt.NDArray[np.uint8] = ale.getAudio()
            # A constant level is silence, whichever it is.
            self._heard.append(
                np.full_like(samples, SILENCE) if samples.min() == samples.max() else samples
            )

    def _show(self) -> None:
        # A restored emulator shows its former screen until its next step.
        self.frame = self._rendered() if self.position else self._first_frame

    def _rendered(self) -> npt.NDArray[np.uint8]:
        return np.array(self.recording.env.render(), np.uint8)
