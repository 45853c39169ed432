"""What a player is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Mode", "Status", "View"]

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
