"""Reasons for which a search stands still, as far as its numbers tell."""

from __future__ import annotations

from hxwrappers.search.cells.settings import Progress

_SHARE = 0.5
_FEWEST_STEPS = 20_000
_FEW_CELLS = 50
_OFTEN = 0.9


def standstill(progress: Progress, *, by_cells: bool) -> str | None:
    """A sentence on a search that has found nothing new for half of its steps, and why.

    Args:
        progress: How far it is.
        by_cells: Whether it searches by cells; one by novelty counts only scores and ends as new,
            since it always finds states that look new.

    Returns:
        The sentence, or None while the search goes on well or is too young to tell.

    Example:
        >>> print(standstill(Progress(10_000, 300, 9.0, 0.0, 10, 0, 0), by_cells=True))
        None
        >>> still = Progress(90_000, 3000, 9.0, 0.0, 10, 0, 0, falls=10, still_since=9_000)
        >>> standstill(still, by_cells=True)
        'Nothing new for 81,000 of 90,000 steps: only 10 cells are told apart...'
    """
    still = progress.steps - progress.still_since
    if progress.steps < _FEWEST_STEPS or still < _SHARE * progress.steps:
        return None
    return f"Nothing new for {still:,} of {progress.steps:,} steps: {_why(progress, by_cells)}"


def _why(progress: Progress, by_cells: bool) -> str:
    explorations = max(progress.explorations, 1)
    if by_cells and progress.cells < _FEW_CELLS:
        return (
            f"only {progress.cells} cells are told apart. Give finer ones (--cells adaptive, or "
            "larger --width, --height, --depth), or search --by novelty."
        )
    if progress.falls > _OFTEN * explorations:
        return (
            f"{progress.falls / explorations:.0%} of the explorations end with a lost life. Try a "
            "smaller --explore or another --repeat."
        )
    if progress.score <= 0:
        return (
            "no reward was ever found. Give one of your own that is less rare (--reward), hold "
            "actions longer (--hold, --repeat), or search --until end."
        )
    return (
        f"the score stays at {progress.score:g}. What comes next may take other actions than those "
        "held at random now (--hold, --repeat), longer explorations (--explore), or another --seed."
    )
