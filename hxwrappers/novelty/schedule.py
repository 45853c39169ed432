"""The schedule of a novelty model: warm-up, rollouts that a trainer delimits, a default pace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_STEPS = 128
"""Steps of each environment between two trainings where nobody says otherwise: as published."""


class TrainingSchedule:
    """Counts the warm-up down, and knows whether a trainer delimits the rollouts.

    Args:
        warmup_steps: First steps of each environment, which only set moments.
        update_every: Steps of each environment between two trainings. None leaves it to the
            trainer, and to `DEFAULT_STEPS` where there is none.

    Example:
        >>> schedule = TrainingSchedule(warmup_steps=200, update_every=None)
        >>> schedule.steps  # a long warm-up goes in rounds, so that few frames are kept
        128
        >>> schedule.end_round(), schedule.steps
        (False, 72)
        >>> schedule.end_round(), schedule.steps
        (True, 128)
        >>> schedule.begin_rollout()
        >>> schedule.steps is None  # until the trainer ends it
        True
    """

    def __init__(self, warmup_steps: int, update_every: int | None) -> None:
        self.warmup_steps = warmup_steps
        self.update_every = update_every
        self.warmup_left = warmup_steps
        self._in_rollout = False

    @property
    def warming_up(self) -> bool:
        """Whether steps only set moments."""
        return self.warmup_left > 0

    @property
    def at_start(self) -> bool:
        """Whether no part of the warm-up is over."""
        return self.warmup_left == self.warmup_steps

    @property
    def steps(self) -> int | None:
        """Steps of each environment that make up a round; None while a trainer ends it."""
        if self.warming_up:
            return min(self.warmup_left, DEFAULT_STEPS)
        if self.update_every is None and self._in_rollout:
            return None
        return self.update_every or DEFAULT_STEPS

    def begin_rollout(self) -> None:
        """Let no training fall due until `end_rollout`."""
        self._in_rollout = True

    def end_rollout(self) -> bool:
        """Let trainings fall due again; says whether one is due now."""
        ended, self._in_rollout = self._in_rollout, False
        return ended and not self.warming_up and self.update_every is None

    def end_round(self) -> bool:
        """Count a round of the warm-up; says whether it was the last."""
        self.warmup_left -= self.steps or 0
        return not self.warming_up

    def state_dict(self) -> dict[str, Any]:
        """How much of the warm-up is left; a rollout of a trainer is not continued."""
        return {"warmup_left": self.warmup_left}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        A warm-up that a model of other settings had longer ends where this one's does.
        """
        left = int(state["warmup_left"])
        if left < 0:
            raise ValueError(f"a warm-up of which {left} steps are left")
        self.warmup_left = min(left, self.warmup_steps)
