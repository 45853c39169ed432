"""How far a search is, and when it stops."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits", "Progress"]


@dataclass(frozen=True)
class Progress:
    """How far a search is, over all its workers and runs.

    Attributes:
        steps: Steps of the environment.
        explorations: Explorations.
        seconds: Time.
        score: The best score found.
        cells: How many cells are known; in a search by novelty, how many states are kept.
        rooms: How many rooms are known; 0 where the cell function knows none.
        workers_lost: How many worker processes died and were replaced since the search was made.
        ended: Whether a way to the episode's own end was found.
        falls: How many explorations ended with a lost life.
        still_since: Steps of the environment at which something new was found last: a better score,
            a way to the end, or a room or cell.
    """

    steps: int
    explorations: int
    seconds: float
    score: float
    cells: int
    rooms: int
    workers_lost: int
    ended: bool = False
    falls: int = 0
    still_since: int = 0


@dataclass(frozen=True)
class Limits:
    """When a search stops; the first that is reached counts.

    Attributes:
        seconds: Time of this run.
        steps: Steps of the environment, earlier runs of a resumed search included.
        score: A score to reach.
        rooms: A number of rooms to find.
        end: Whether a way to the episode's own end is enough.
    """

    seconds: float | None = None
    steps: int | None = None
    score: float | None = None
    rooms: int | None = None
    end: bool = False

    def reached(self, progress: Progress, seconds: float) -> bool:
        """Whether a limit is reached.

        Args:
            progress: How far the search is.
            seconds: Time of this run.

        Example:
            >>> progress = Progress(900, 10, 5.0, 100.0, 40, 1, 0)
            >>> Limits(score=100).reached(progress, 5.0), Limits(rooms=2).reached(progress, 5.0)
            (True, False)
        """
        return (self.end and progress.ended) or any(
            limit is not None and reached >= limit
            for limit, reached in (
                (self.seconds, seconds),
                (self.steps, progress.steps),
                (self.score, progress.score),
                (self.rooms, progress.rooms),
            )
        )
