"""The log of a search, which `hxw plot` draws."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hxwrappers.cli.terminal import prepare_output
from hxwrappers.files.atomic import AppendFile

if TYPE_CHECKING:
    from hxwrappers.search.cells import Progress

_NAME = "progress.csv"
_HEAD = "time/total_timesteps,time/seconds,search/score,search/cells,search/rooms\n"
_EVERY = 1.0


class SearchLog:
    """Appends a row a second, and one whenever the score grows.

    Args:
        file: Where the rows go.
    """

    def __init__(self, file: AppendFile) -> None:
        self._file = file
        self._last: tuple[float, float, int] = (-1.0, float("-inf"), -1)

    def add(self, progress: Progress, *, last: bool = False) -> None:
        """Write how far the search is, if it is time.

        Args:
            progress: How far it is.
            last: Whether nothing comes after it.
        """
        when, score, steps = self._last
        now = time.monotonic()
        due = last or now - when >= _EVERY or progress.score > score
        if not due or progress.steps == steps:
            return
        self._last = (now, progress.score, progress.steps)
        figures = (progress.steps, round(progress.seconds, 2), progress.score)
        row = (*figures, progress.cells, progress.rooms)
        self._file.append((",".join(map(str, row)) + "\n").encode())


@contextmanager
def search_log(folder: Path | None, *, resumed: bool) -> Iterator[SearchLog | None]:
    """The log in a folder; None where none is wanted.

    Args:
        folder: The folder, made if it is not there.
        resumed: Whether the search goes on, and its log with it.
    """
    if folder is None:
        yield None
        return
    path = folder / _NAME
    goes_on = resumed and path.is_file()
    if not goes_on:
        prepare_output(path)
    file = AppendFile(path, path.stat().st_size if goes_on else 0)
    try:
        if not goes_on:
            file.append(_HEAD.encode())
        yield SearchLog(file)
    finally:
        file.close()
