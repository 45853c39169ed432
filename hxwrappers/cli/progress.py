"""Progress bars: on stderr, where that is a terminal, gone when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

__all__ = ["Progress", "progress_bar"]

Progress = Callable[..., None]
"""Called with how much is done, and of how much in all where that is known only then."""


@contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[Progress]:
    """A progress bar, and the function that moves it.

    Args:
        unit: What is counted, for example "frame".
        total: How many there are, where that is known.
    """
    with tqdm(unit=unit, total=total, disable=None, leave=False) as bar:

        def show(done: int, total: int | None = None) -> None:
            bar.total = bar.total if total is None else total
            bar.update(done - bar.n)

        yield show
