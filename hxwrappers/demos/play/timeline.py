"""Where a player is in a run: the picture, the lives, the sound, and going back in time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos.ale_frames import Ear
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
    """

    def __init__(self, recording: DemoRecording, *, sound: bool = False) -> None:
        self.recording = recording
        self.returns: list[float] = [0.0]
        self.lives: list[int | None] = [None]
        self.frame = self._first_frame = np.zeros((1, 1, 3), np.uint8)
        can_be_heard = sound and AleSnapshotter.supports(recording.env)
        self._ear = Ear(recording.env) if can_be_heard else None

    @property
    def audible(self) -> bool:
        """Whether the game can be heard."""
        return self._ear is not None

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
        return None if self._ear is None else self._ear.take()

    def _begin(self, info: dict[str, Any]) -> None:
        self._first_frame = self._rendered()
        self.returns, self.lives = [0.0], [info.get("lives")]
        self._jumped()

    def _forget(self) -> None:
        del self.returns[self.length + 1 :], self.lives[self.length + 1 :]

    def _listen(self, whether: bool) -> None:
        if self._ear is not None:
            self._ear.is_listening = whether

    def _jumped(self) -> None:
        if self._ear is not None:
            self._ear.lose()
        self._show()

    def _show(self) -> None:
        # A restored emulator shows its former screen until its next step.
        self.frame = self._rendered() if self.position else self._first_frame

    def _rendered(self) -> npt.NDArray[np.uint8]:
        return np.array(self.recording.env.render(), np.uint8)
