"""One episode from a starting point of a demonstration: success, lag and end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import require_count
from hxwrappers.errors import InvalidArgumentError


class AttemptStatus(Enum):
    """What a step means for the episode."""

    GO_ON = "go on"
    LAGGING = "lagging"
    FINISHED = "finished"


@dataclass(frozen=True)
class AttemptSettings:
    """When an episode that began inside a demonstration succeeds and ends.

    Salimans & Chen 2018, arXiv 1812.03381, and the code published with it.

    Attributes:
        allowed_lag: An episode longer than this many steps ends where its score is below what the
            demonstration had this many steps earlier; None never ends one. The published 50 are
            emulator frames: enough for a detour, too few for a life of its own. Where success is
            judged at the end, only the time counts: the demonstration's, and this many steps.
        extra_steps: After a success the episode goes on for `int(exp(u * extra_steps))` steps, u
            uniform, and is then truncated: the agent also sees what comes after, and does not
            learn that the world ends with the last reward. 7 gives 1 to about 1,100. None ends it
            at the success.
        score_tolerance: How much less than the demonstration's return still is a success, and is
            not yet lagging. For tasks whose reward shrinks with time, such as MiniGrid's.
        success_at: "first" counts the first moment at which the score reaches the
            demonstration's, as published; "end" judges at the episode's end, which is right where
            rewards are negative. None takes "end" if the demonstration has a negative reward. Where
            the demonstration stops without the task's end, as a slice does, its own last step
            counts as one.
        shrink_bound: Where episodes have succeeded in fewer steps than the demonstration, the time
            that they have, which is the demonstration's and `allowed_lag`, is that much shorter
            from all starts before theirs. Not published for this curriculum, but for one of
            Go-Explore's re-implementations.

    Raises:
        InvalidArgumentError: A value is out of range.
    """

    allowed_lag: int | None = 50
    extra_steps: float | None = 7.0
    score_tolerance: float = 0.0
    success_at: str | None = None
    shrink_bound: bool = False

    def __post_init__(self) -> None:
        if self.allowed_lag is not None:
            require_count("allowed_lag", self.allowed_lag)
        for name, value in (
            ("extra_steps", self.extra_steps),
            ("score_tolerance", self.score_tolerance),
        ):
            if value is not None and not 0 <= value < float("inf"):
                raise InvalidArgumentError(f"{name} is {value!r}; it must be 0 or more, or None.")
        if self.extra_steps is not None and self.extra_steps > 20:
            raise InvalidArgumentError(
                f"extra_steps is {self.extra_steps}; it is an exponent, published as 7, and must "
                "be at most 20."
            )
        if self.success_at not in (None, "first", "end"):
            raise InvalidArgumentError(
                f"success_at is {self.success_at!r}; it must be 'first', 'end' or None."
            )


class AttemptRules:
    """What a demonstration asks of an episode, worked out once for all of them.

    Args:
        returns: The demonstration's return so far at each step, `(T + 1,)`; see `Demo.returns`.
        settings: When episodes succeed and end.
        terminates: Whether the task ended with the demonstration's last step.
    """

    def __init__(
        self, returns: npt.NDArray[np.float64], settings: AttemptSettings, terminates: bool = True
    ) -> None:
        self.settings = settings
        self.terminates = terminates
        self.at_end = settings.success_at == "end" or (
            settings.success_at is None and _has_costs(returns)
        )
        self.returns: list[float] = returns.tolist()
        # Sums of the same rewards in another order may differ in the last digits.
        slack = 1e-9 * np.maximum(1.0, np.abs(returns))
        self.needed: list[float] = (returns - settings.score_tolerance - slack).tolist()
        self.last = len(returns) - 1
        self.reached = latest_starting_point(returns) + 1


class Attempt:
    """Keeps score of one episode against a demonstration.

    Args:
        course: What the demonstration asks.
        start: The starting point, a step of the demonstration.
        generator: Draws how long the episode goes on after a success.
        saved: How many steps fewer than the demonstration took are known to be enough.

    Attributes:
        score: The demonstration's return at the starting point and all rewards since.
        steps: Steps taken since the starting point.
        succeeded: Whether the score has reached the demonstration's return.
        steps_to_success: Steps that this took; None before.
        counts: Whether it shall be reported; not after its table has been replaced.

    Example:
        >>> import numpy as np
        >>> course = AttemptRules(np.array([0.0, 0.0, 100.0]), AttemptSettings(extra_steps=None))
        >>> attempt = Attempt(course, 0, np.random.default_rng(0))
        >>> attempt.step(0.0, ended=False), attempt.step(100.0, ended=False), attempt.succeeded
        (<AttemptStatus.GO_ON: 'go on'>, <AttemptStatus.FINISHED: 'finished'>, True)
    """

    def __init__(
        self, course: AttemptRules, start: int, generator: np.random.Generator, saved: int = 0
    ) -> None:
        self._course = course
        self._start = start
        exponent = course.settings.extra_steps
        self._extra = 0 if exponent is None else int(np.exp(generator.random() * exponent))
        self.score = course.returns[start]
        self.steps = 0
        self.succeeded = False
        self.steps_to_success: int | None = None
        self.counts = True
        self._saved = saved if course.settings.shrink_bound else 0

    def step(self, reward: float, *, ended: bool, steps: int = 1) -> AttemptStatus:
        """Count a step.

        Args:
            reward: The environment's own reward.
            ended: Whether the environment ended the episode with this step.
            steps: How many of the demonstration's steps it is, with a frame skip inside.

        Returns:
            Whether the episode shall go on, end as one that lags behind, or end as one that is
            finished: its extra steps after a success are spent.
        """
        course = self._course
        self.score += reward
        self.steps += steps
        if self.succeeded:
            self._extra -= steps
        elif self.score >= course.needed[-1]:
            played_out = not course.terminates and self._start + self.steps >= course.last
            self.succeeded = ended or played_out or not course.at_end
            if self.succeeded:
                self.steps_to_success = self.steps
        if self.succeeded:
            return AttemptStatus.FINISHED if self._extra <= 0 else AttemptStatus.GO_ON
        lag = course.settings.allowed_lag
        if lag is None or self.steps <= lag:
            return AttemptStatus.GO_ON
        then = min(self._start + self.steps - lag, course.last)
        if self._saved and then >= course.reached - self._saved:
            return AttemptStatus.LAGGING
        # Where each step costs something, a later score says nothing: only time does.
        lags = then == course.last if course.at_end else self.score < course.needed[then]
        return AttemptStatus.LAGGING if lags else AttemptStatus.GO_ON

    def outcome(self, verdict: AttemptStatus, *, died: bool) -> str:
        """How it ended, in a word: "success", "life lost", "lagging" or "ended".

        Args:
            verdict: Of its last step.
            died: Whether a life was lost in it.
        """
        if self.succeeded:
            return "success"
        if died:
            return "life lost"
        return "lagging" if verdict is AttemptStatus.LAGGING else "ended"


def latest_starting_point(returns: npt.NDArray[np.float64]) -> int:
    """The last step of a demonstration from which its return is still to be reached.

    Where there are negative rewards, that is decided at the end; see `AttemptSettings`.

    Args:
        returns: The return so far at each step, `(T + 1,)`.

    Example:
        >>> latest_starting_point(np.array([0.0, 0.0, 100.0, 100.0]))
        1
        >>> latest_starting_point(np.array([0.0, -1.0, -2.0]))
        1
    """
    reached = int(np.flatnonzero(returns >= returns[-1])[0])
    return len(returns) - 2 if reached == 0 or _has_costs(returns) else reached - 1


def _has_costs(returns: npt.NDArray[np.float64]) -> bool:
    return bool((np.diff(returns) < 0).any())
